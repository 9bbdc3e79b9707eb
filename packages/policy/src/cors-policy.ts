import { type Duration, parseDuration } from "./duration.ts";
import { durationLimits, wrongHeaderName, wrongMethod } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import { compileStringMatch, type RegexEngine, type StringMatch } from "./string-match.ts";

/**
 * Answers browsers' questions about calls from pages of other origins, for services that hand browsers' requests on (a
 * gateway, a backend for frontends). A preflight of an allowed origin is answered by the mesh with 200 and is not sent.
 */
export interface Cors {
  /** Origins that may call, any of them: `https://shop.example`; `{ exact: "*" }` is every origin. Compared with case. */
  readonly allowOrigins: readonly StringMatch[];
  /** Told to preflights. @default not told: browsers then allow GET, HEAD and POST */
  readonly allowMethods?: readonly string[];
  /** Told to preflights. @default not told: browsers then allow none beyond the plain ones */
  readonly allowHeaders?: readonly string[];
  /** Headers of replies that pages may read. @default not told */
  readonly exposeHeaders?: readonly string[];
  /** How long a browser may remember a preflight's answer; told in whole seconds. Range "0s" to "168h". @default not told */
  readonly maxAge?: Duration;
  /** Whether cookies and credentials may be sent; with `*` any page may then call as its visitor. @default false */
  readonly allowCredentials?: boolean;
  /** What becomes of preflights of other origins: sent on, or answered with 200 and nothing allowed. @default "forward" (Istio) */
  readonly unmatchedPreflights?: "forward" | "ignore";
}

/** What becomes of a call under a CORS policy. */
export type CorsDecision =
  /** Answered with 200 and these headers, a flat list. */
  | { readonly kind: "answer"; readonly headers: readonly string[] }
  /** Sent on; the reply's flat list of headers is changed. */
  | { readonly kind: "send"; readonly change: (headers: readonly string[]) => readonly string[] };

/** What a call shows of itself. */
export interface CorsQuestion {
  /** Upper case. */
  readonly method: string;
  /** The value of a header by its lower-case name. */
  header(name: string): string | undefined;
}

/** Compiles a CORS policy. Pure; decides as Envoy's filter does, and tells caches that the answer depends on the origin. */
export const compileCors = (cors: Cors, engine: RegexEngine): ((question: CorsQuestion) => CorsDecision) => {
  const origins = cors.allowOrigins.map((match) => compileStringMatch(match, engine));
  const allows = (origin: string): boolean => origins.some((fits) => fits("*") || fits(origin));
  const { allowCredentials = false, exposeHeaders, unmatchedPreflights = "forward" } = cors;
  const credentials = allowCredentials ? ["access-control-allow-credentials", "true"] : [];
  const toPreflight = [
    ...credentials,
    ...listed("access-control-allow-methods", cors.allowMethods),
    ...listed("access-control-allow-headers", cors.allowHeaders),
    ...(cors.maxAge === undefined
      ? []
      : ["access-control-max-age", String(Math.floor(parseDuration(cors.maxAge) / 1_000))]),
    "vary",
    "Origin",
  ];
  const toReply = [...credentials, ...listed("access-control-expose-headers", exposeHeaders)];
  // What the service itself says would contradict the policy.
  const said = new Set(["access-control-allow-origin", "access-control-allow-credentials"]);
  if (exposeHeaders !== undefined) said.add("access-control-expose-headers");
  const sendOnly: CorsDecision = { kind: "send", change: withVary };
  const ignore: CorsDecision = { kind: "answer", headers: ["vary", "Origin"] };

  return (question) => {
    const origin = question.header("origin");
    if (origin === undefined || origin === "") return sendOnly;
    const preflight = question.method === "OPTIONS" && question.header("access-control-request-method") !== undefined;
    if (!allows(origin)) return preflight && unmatchedPreflights === "ignore" ? ignore : sendOnly;
    const allowed = ["access-control-allow-origin", origin];
    if (preflight) return { kind: "answer", headers: [...allowed, ...toPreflight] };
    return { kind: "send", change: (headers) => withVary([...without(said, headers), ...allowed, ...toReply]) };
  };
};

const listed = (name: string, values: readonly string[] | undefined): readonly string[] =>
  values === undefined ? [] : [name, values.join(",")];

const without = (names: ReadonlySet<string>, headers: readonly string[]): readonly string[] =>
  headers.filter((_, at) => !names.has((headers[at - (at % 2)] ?? "").toLowerCase()));

/** A cache must not give one origin's answer to another, nor one without origin to any. */
const withVary = (headers: readonly string[]): readonly string[] => {
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== "vary") continue;
    const names = (headers[at + 1] ?? "").toLowerCase().split(",");
    if (names.some((name) => name.trim() === "origin" || name.trim() === "*")) return headers;
  }
  return [...headers, "vary", "Origin"];
};

/** Whether a CORS policy makes sense. `checkOrigin` looks at one comparison. */
export const checkCors = (
  path: PolicyPath,
  cors: Cors | undefined,
  check: Check,
  checkOrigin: (path: PolicyPath, match: StringMatch) => void,
): void => {
  if (cors === undefined) return;
  check.list([...path, "allowOrigins"], cors.allowOrigins, (at, match) => checkOrigin(at, match));
  check.texts([...path, "allowMethods"], cors.allowMethods, wrongMethod);
  check.texts([...path, "allowHeaders"], cors.allowHeaders, wrongHeaderName);
  check.texts([...path, "exposeHeaders"], cors.exposeHeaders, wrongHeaderName);
  check.duration([...path, "maxAge"], cors.maxAge, durationLimits.corsMaxAge);
};
