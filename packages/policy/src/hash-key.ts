import { type Duration, parseDuration } from "./duration.ts";
import { durationLimits, wrongChoice, wrongHeaderName } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import { wrongCookiePath } from "./session-affinity-policy.ts";

/**
 * One thing by which calls are told apart. Exactly one of the sources is set. Several keys are combined in their order, as
 * Envoy's hash policies are; those that a call lacks are left out.
 */
export interface HashKey {
  /** Value of a header, by name, compared without case; several values are joined with ",". */
  readonly header?: string;
  /** Value of a cookie, by name. */
  readonly cookie?: string;
  /** First value of a query parameter, by name. */
  readonly query?: string;
  /**
   * Who calls: `service` is the same for all processes of the calling service, `instance` is drawn once per process (what
   * the source address is to a proxy).
   */
  readonly source?: "service" | "instance";
  /** Where a call has this key, those after it are not looked at. @default false */
  readonly terminal?: boolean;
}

/** A {@link HashKey} of a service, whose cookie the mesh may generate. */
export interface ServiceHashKey extends HashKey {
  /**
   * With `cookie`: callers without it are given one on the reply, `HttpOnly`, that lasts so long; "0s": until the browser is
   * closed. Range 0s to 576h. @default none is given (Envoy)
   */
  readonly ttl?: Duration;
  /** Paths for which a browser sends the given cookie back. @default "/" */
  readonly path?: string;
}

/** A cookie that the mesh gives to callers without it. */
export interface GeneratedCookie {
  readonly name: string;
  /** 0: until the browser is closed. */
  readonly ttlMs: number;
  readonly path: string;
}

/** The cookies that hash keys have the mesh generate. */
export const generatedCookies = (keys: readonly ServiceHashKey[]): readonly GeneratedCookie[] =>
  keys.flatMap(({ cookie, ttl, path = "/" }) =>
    cookie === undefined || ttl === undefined ? [] : [{ name: cookie, ttlMs: parseDuration(ttl), path }],
  );

/** What follows a generated cookie's value. */
export const generatedCookieAttributes = ({ ttlMs, path }: GeneratedCookie): string =>
  `; Path=${path}${ttlMs === 0 ? "" : `; Max-Age=${Math.ceil(ttlMs / 1_000)}`}; HttpOnly`;

/** The sources of a key, of which one is set. */
export const hashKeySources = ["header", "cookie", "query", "source"] as const;

/** Reports what makes no sense in hash keys. */
export const checkHashKeys = (path: PolicyPath, keys: readonly HashKey[] | undefined, check: Check): void => {
  check.list(path, keys, (at, key) => {
    const wrong = wrongChoice(key, hashKeySources);
    if (wrong !== undefined) check.report(at, wrong);
    check.text([...at, "header"], key.header, wrongHeaderName);
    check.text([...at, "cookie"], key.cookie, wrongHeaderName);
    if (key.query === "") check.report([...at, "query"], "an empty name is no parameter");
  });
};

/** Reports what makes no sense in the hash keys of a service. */
export const checkServiceHashKeys = (
  path: PolicyPath,
  keys: readonly ServiceHashKey[] | undefined,
  check: Check,
): void => {
  checkHashKeys(path, keys, check);
  for (const [at, key] of (keys ?? []).entries()) {
    check.duration([...path, at, "ttl"], key.ttl, durationLimits.hashCookieTtl);
    check.text([...path, at, "path"], key.path, wrongCookiePath);
    if (key.ttl !== undefined && key.cookie === undefined) {
      check.report([...path, at, "ttl"], "only a cookie can be given to callers: write it with cookie");
    }
    if (key.path !== undefined && key.ttl === undefined) {
      check.report([...path, at, "path"], "it is the path of a cookie that the mesh gives: write it with ttl");
    }
  }
};
