import { wrongChoice, wrongHeaderName } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";

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
