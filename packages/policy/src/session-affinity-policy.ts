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

/**
 * Keeps a session with the destination that was drawn for its first call, also when the weights change, also to 0, until
 * the destination leaves the split. Known elsewhere as session persistence (GEP-1619). Exactly one of `cookie` and `header`.
 */
export interface SessionAffinity {
  /** The mesh sets a cookie on the reply to a session's first call; a caller that sends it back is of the session. */
  readonly cookie?: SessionCookie;
  /** The mesh sets a header of this name on that reply; a caller that sends it back is of the session. */
  readonly header?: string;
  /** How long a session lasts after its first call, and what the cookie's Max-Age says. Range 1s to 576h. @default until the caller forgets it */
  readonly ttl?: Duration;
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
}

export const effectiveSessionAffinity = ({ cookie, header, ttl }: SessionAffinity): EffectiveSessionAffinity => {
  const ttlMs = ttl === undefined ? Number.POSITIVE_INFINITY : parseDuration(ttl);
  if (header !== undefined) return { by: "header", name: header.toLowerCase(), ttlMs, attributes: "" };
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
  };
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
  const { cookie } = affinity;
  check.text([...path, "cookie", "name"], cookie?.name, wrongHeaderName);
  check.text([...path, "cookie", "path"], cookie?.path, wrongCookiePath);
  if (cookie?.sameSite === "none" && cookie.secure !== true) {
    check.report([...path, "cookie", "sameSite"], "browsers refuse sameSite none without secure: set both");
  }
};
