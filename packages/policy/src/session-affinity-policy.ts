import { type Duration, parseDuration } from "./duration.ts";
import { durationLimits, wrongChoice, wrongHeaderName } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";

/** The cookie that tells sessions. It is always `HttpOnly`. */
export interface SessionCookie {
  /** @default "tulle-session" */
  readonly name?: string;
  /** Paths for which a browser sends it back. @default "/" */
  readonly path?: string;
  /** Only over TLS. @default false */
  readonly secure?: boolean;
  /** What browsers do with it in calls from other sites; `none` wants `secure`. @default the browser's own, which is lax */
  readonly sameSite?: "strict" | "lax" | "none";
}

/** States of an endpoint in which a session may stay with it. */
export type SessionEndpointState =
  /** Also stale, and checked for the first time. */
  | "healthy"
  | "degraded"
  /** It takes no new sessions, by the registry's word or its own. */
  | "draining"
  /** Also ejected, not to be reached, or stale for too long. */
  | "unhealthy";

/** The states, in the order of their trouble. */
export const sessionEndpointStates = ["healthy", "degraded", "draining", "unhealthy"] as const;

/** In which states of its endpoint a session stays with it where nothing is written (Envoy). */
export const DEFAULT_SESSION_ENDPOINT_STATES: readonly SessionEndpointState[] = ["healthy", "degraded"];

/** Keeps a session with the very endpoint that answered its first call. Known elsewhere as stateful session (Envoy, gRPC A55). */
export interface EndpointAffinity {
  /**
   * Calls of a session whose endpoint has left, or may not be called, fail with NO_HEALTHY_ENDPOINT, and retries go to it as
   * well. Otherwise they go to another endpoint, with which the session stays from then on. @default false (Envoy)
   */
  readonly strict?: boolean;
  /** In which states of the endpoint the session stays with it. @default ["healthy", "degraded"] (Envoy) */
  readonly states?: readonly SessionEndpointState[];
}

/**
 * Keeps a session with the destination that was drawn for its first call, also when the weights change, also to 0, until
 * the destination leaves the split; with `endpoint` also with the endpoint that answered. Known elsewhere as session persistence (GEP-1619). Exactly one of `cookie` and `header`.
 */
export interface SessionAffinity {
  /** The mesh sets a cookie on the reply to a session's first call; a caller that sends it back is of the session. */
  readonly cookie?: SessionCookie;
  /** The mesh sets a header of this name on that reply; a caller that sends it back is of the session. */
  readonly header?: string;
  /** How long a session lasts after its first call, and what the cookie's Max-Age says. Range 1s to 576h. @default until the caller forgets it */
  readonly ttl?: Duration;
  /** The session stays with the endpoint as well, `{}` with all defaults. @default the balancer picks for each call */
  readonly endpoint?: EndpointAffinity;
}

/** The name of a session's cookie where none is written. */
export const DEFAULT_SESSION_COOKIE = "tulle-session";

/** Session affinity with every field filled in. */
export interface EffectiveSessionAffinity {
  /** Where a session is told: a cookie, or a header by its lower-case name. */
  readonly by: "cookie" | "header";
  readonly name: string;
  /** `Infinity`: without end. */
  readonly ttlMs: number;
  /** What follows the cookie's value: `; Path=/; HttpOnly` and the like. Empty for a header. */
  readonly attributes: string;
  /** `undefined`: the balancer picks for each call. */
  readonly endpoint: EffectiveEndpointAffinity | undefined;
}

/** Affinity to an endpoint with every field filled in. */
export interface EffectiveEndpointAffinity {
  readonly strict: boolean;
  readonly states: ReadonlySet<SessionEndpointState>;
}

export const effectiveSessionAffinity = (affinity: SessionAffinity): EffectiveSessionAffinity => {
  const { cookie, header, ttl } = affinity;
  const endpoint = effectiveEndpointAffinity(affinity);
  const ttlMs = ttl === undefined ? Number.POSITIVE_INFINITY : parseDuration(ttl);
  if (header !== undefined) return { by: "header", name: header.toLowerCase(), ttlMs, attributes: "", endpoint };
  const attributes = [
    `Path=${cookie?.path ?? "/"}`,
    ...(ttl === undefined ? [] : [`Max-Age=${Math.floor(ttlMs / 1_000)}`]),
    "HttpOnly",
    ...(cookie?.secure === true ? ["Secure"] : []),
    ...(cookie?.sameSite === undefined ? [] : [`SameSite=${sameSiteWords[cookie.sameSite]}`]),
  ];
  return {
    by: "cookie",
    name: cookie?.name ?? DEFAULT_SESSION_COOKIE,
    ttlMs,
    attributes: attributes.map((each) => `; ${each}`).join(""),
    endpoint,
  };
};

/** How sessions stay with endpoints; `undefined`: they do not. */
export const effectiveEndpointAffinity = ({ endpoint }: SessionAffinity): EffectiveEndpointAffinity | undefined =>
  endpoint && {
    strict: endpoint.strict ?? false,
    states: new Set(endpoint.states ?? DEFAULT_SESSION_ENDPOINT_STATES),
  };

const sameSiteWords = { strict: "Strict", lax: "Lax", none: "None" } as const;

/** The ways to tell sessions. */
export const sessionChoices = ["cookie", "header"] as const;

/** What is wrong with the path of a cookie, if anything. */
export const wrongCookiePath = (text: string): string | undefined =>
  /^\/[\x21-\x3a\x3c-\x7e]*$/.test(text) ? undefined : `"${text}" is not the path of a cookie: begin it with "/"`;

/** Reports what makes no sense in a rule's session affinity. */
export const checkSessionAffinity = (path: PolicyPath, affinity: SessionAffinity | undefined, check: Check): void => {
  if (affinity === undefined) return;
  const wrong = wrongChoice(affinity, sessionChoices);
  if (wrong !== undefined) check.report(path, wrong);
  check.text([...path, "header"], affinity.header, wrongHeaderName);
  check.duration([...path, "ttl"], affinity.ttl, durationLimits.sessionTtl);
  if (affinity.endpoint?.states?.length === 0) {
    check.report([...path, "endpoint", "states"], "a session would stay with no endpoint: leave out `endpoint`");
  }
  const { cookie } = affinity;
  check.text([...path, "cookie", "name"], cookie?.name, wrongHeaderName);
  check.text([...path, "cookie", "path"], cookie?.path, wrongCookiePath);
  if (cookie?.sameSite === "none" && cookie.secure !== true) {
    check.report([...path, "cookie", "sameSite"], "browsers refuse sameSite none without secure: set both");
  }
};
