import { type Duration, parseDuration } from "./duration.ts";
import { durationLimits, numberLimits, wrongHeaderName, wrongHeaderValue, wrongName } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";

/**
 * Somebody outside who says whether a call may pass, asked over HTTP (Envoy's ext_authz, HTTP service). It is sent the call's
 * method, its path behind `pathPrefix`, its Host, its `authorization` and the headers that are named, without a body. 200 lets
 * the call pass; a 5xx, a failure and the end of the time are errors; everything else refuses, and is what the caller is told.
 */
export interface AuthorizerPolicy {
  /** Where it listens: `http://opa.security:8181`. A service of the mesh is called through the mesh. */
  readonly url: string;
  /** Stands before the call's own path. @default none */
  readonly pathPrefix?: string;
  /** For the whole answer. Range 1ms to 1m. @default "200ms" (Envoy) */
  readonly timeout?: Duration;
  /** Whether calls pass that it could not be asked about. @default false (Envoy) */
  readonly failOpen?: boolean;
  /** What calls are answered that it could not be asked about, unless `failOpen`. Range 400 to 599. @default 403 (Envoy) */
  readonly statusOnError?: number;
  /** Headers of the call that it is sent, by name; `prefix*` and `*suffix` too. @default host and authorization alone */
  readonly includeRequestHeaders?: readonly string[];
  /** Headers that it is sent besides, whatever the call has. @default none */
  readonly includeAdditionalHeaders?: Readonly<Record<string, string>>;
  /** Headers of its answer that the call is given before rules and handlers see it, when it may pass. @default none */
  readonly headersToUpstreamOnAllow?: readonly string[];
  /** Headers of its answer that the caller is told, when the call may not pass. @default all but those of the connection */
  readonly headersToDownstreamOnDeny?: readonly string[];
  /** Calls that it may be asked about at once, per process; the others count as errors. Range 1 to 65,535. @default 1024 */
  readonly maxConcurrent?: number;
}

/** Asked with no limit of its own (Envoy). */
export const DEFAULT_AUTHORIZER_TIMEOUT: Duration = "200ms";

/** Answered when nobody could be asked (Envoy). */
export const DEFAULT_STATUS_ON_ERROR = 403;

/** Calls that an authorizer is asked about at once (Envoy's circuit breaker of requests). */
export const DEFAULT_MAX_CONCURRENT_CHECKS = 1_024;

/** An authorizer with every default filled in. */
export interface EffectiveAuthorizer {
  readonly url: URL;
  readonly pathPrefix: string;
  readonly timeoutMs: number;
  readonly failOpen: boolean;
  readonly statusOnError: number;
  readonly includeRequestHeaders: readonly string[];
  readonly includeAdditionalHeaders: Readonly<Record<string, string>>;
  readonly headersToUpstreamOnAllow: readonly string[];
  readonly headersToDownstreamOnDeny: readonly string[] | undefined;
  readonly maxConcurrent: number;
}

/** Fills in the defaults. @throws TypeError for a URL that is none. */
export const effectiveAuthorizer = (authorizer: AuthorizerPolicy): EffectiveAuthorizer => ({
  url: new URL(authorizer.url),
  pathPrefix: authorizer.pathPrefix ?? "",
  timeoutMs: parseDuration(authorizer.timeout ?? DEFAULT_AUTHORIZER_TIMEOUT),
  failOpen: authorizer.failOpen ?? false,
  statusOnError: authorizer.statusOnError ?? DEFAULT_STATUS_ON_ERROR,
  includeRequestHeaders: lowerCase(authorizer.includeRequestHeaders ?? []),
  includeAdditionalHeaders: authorizer.includeAdditionalHeaders ?? {},
  headersToUpstreamOnAllow: lowerCase(authorizer.headersToUpstreamOnAllow ?? []),
  headersToDownstreamOnDeny:
    authorizer.headersToDownstreamOnDeny === undefined ? undefined : lowerCase(authorizer.headersToDownstreamOnDeny),
  maxConcurrent: authorizer.maxConcurrent ?? DEFAULT_MAX_CONCURRENT_CHECKS,
});

const lowerCase = (names: readonly string[]): readonly string[] => names.map((name) => name.toLowerCase());

/** Reports what makes no sense in a mesh's authorizers. */
export const checkAuthorizers = (
  path: PolicyPath,
  authorizers: Readonly<Record<string, AuthorizerPolicy>> | undefined,
  check: Check,
): void => {
  for (const [name, authorizer] of Object.entries(authorizers ?? {})) {
    const at = [...path, name];
    check.text(at, name, wrongName);
    check.text([...at, "url"], authorizer.url, wrongAuthorizerUrl);
    check.text([...at, "pathPrefix"], authorizer.pathPrefix, wrongPathPrefix);
    check.duration([...at, "timeout"], authorizer.timeout, durationLimits.authorizerTimeout);
    check.number([...at, "statusOnError"], authorizer.statusOnError, numberLimits.status);
    check.number([...at, "maxConcurrent"], authorizer.maxConcurrent, numberLimits.concurrentChecks);
    check.texts([...at, "includeRequestHeaders"], authorizer.includeRequestHeaders, wrongHeaderPattern);
    for (const field of ["headersToUpstreamOnAllow", "headersToDownstreamOnDeny"] as const) {
      check.texts([...at, field], authorizer[field], wrongHeaderPattern);
    }
    for (const [header, value] of Object.entries(authorizer.includeAdditionalHeaders ?? {})) {
      check.text([...at, "includeAdditionalHeaders", header], header, wrongHeaderName);
      check.text([...at, "includeAdditionalHeaders", header], value, wrongHeaderValue);
    }
  }
};

/** What is wrong with an authorizer's URL, if anything. */
export const wrongAuthorizerUrl = (text: string): string | undefined => {
  const url = URL.parse(text);
  const isPlain =
    url !== null &&
    (url.protocol === "http:" || url.protocol === "https:") &&
    url.pathname === "/" &&
    url.search === "" &&
    url.hash === "" &&
    url.username === "" &&
    url.password === "";
  return isPlain
    ? undefined
    : `"${text}" is not where an authorizer listens: write scheme, host and port, such as "http://opa.security:8181", and its path as pathPrefix`;
};

/** What is wrong with the text before an authorizer's paths, if anything. */
export const wrongPathPrefix = (text: string): string | undefined =>
  /^\/[!-~]*$/.test(text) && !/[?#]/.test(text) && !text.endsWith("/")
    ? undefined
    : `"${text}" is not a prefix of paths: begin it with "/", do not end it with one, and leave out the query`;

/** What is wrong with the name of a header, or with its beginning or end and a star, if anything. */
export const wrongHeaderPattern = (text: string): string | undefined => {
  const name = text.startsWith("*") ? text.slice(1) : text.endsWith("*") ? text.slice(0, -1) : text;
  return name.includes("*") ? `"${text}" has a star where none may be` : wrongHeaderName(name);
};
