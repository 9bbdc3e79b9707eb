import { numberLimits, wrongHeaderValue } from "./field-limits.ts";
import { wrongChangedHeader } from "./header-changes-policy.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";

/** Answers instead of calling. */
export interface DirectResponse {
  /** Range 200 to 599. */
  readonly status: number;
  /** Text, at most 4,096 bytes of UTF-8 (Envoy). None with the statuses 204, 205 and 304. @default "" */
  readonly body?: string;
  /** Values by name. @default `content-type: text/plain` where there is a body (Envoy) */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Longest body, bytes: 4,096 (Envoy). */
export const MAX_DIRECT_RESPONSE_BYTES = 4_096;

const withoutBody: ReadonlySet<number> = new Set([204, 205, 304]);

/** A direct response with every field filled in. */
export interface EffectiveDirectResponse {
  readonly status: number;
  /** Flat list of names and values. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** Fills in the defaults, once per policy. */
export const effectiveDirectResponse = ({
  status,
  body = "",
  headers = {},
}: DirectResponse): EffectiveDirectResponse => {
  const typed = body === "" || Object.keys(headers).some((name) => name.toLowerCase() === "content-type");
  return {
    status,
    headers: [...(typed ? [] : ["content-type", "text/plain"]), ...Object.entries(headers).flat()],
    body: Buffer.from(body),
  };
};

/** Whether a direct response makes sense. */
export const checkDirectResponse = (path: PolicyPath, response: DirectResponse | undefined, check: Check): void => {
  if (response === undefined) return;
  const { status, body = "", headers = {} } = response;
  check.number([...path, "status"], status, numberLimits.directStatus);
  const bytes = Buffer.byteLength(body);
  if (bytes > MAX_DIRECT_RESPONSE_BYTES) {
    check.report([...path, "body"], `the body has ${bytes} bytes, more than ${MAX_DIRECT_RESPONSE_BYTES}`);
  }
  if (body !== "" && withoutBody.has(status))
    check.report([...path, "body"], `status ${status} has no body: leave it out`);
  for (const [name, value] of Object.entries(headers)) {
    check.text([...path, "headers", name], name, wrongChangedHeader);
    check.text([...path, "headers", name], value, wrongHeaderValue);
  }
};
