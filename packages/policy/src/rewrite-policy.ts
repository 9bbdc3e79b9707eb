import { wrongAuthority } from "./field-limits.ts";
import {
  checkPathReplacement,
  compilePathReplacement,
  type PathReplacement,
  type SubstitutionEngine,
  splitQuery,
  wrongReplacement,
} from "./path-replacement.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import type { RouteMatch } from "./route-match.ts";
import type { RouteQuestion } from "./route-matcher.ts";

/** What is sent as Host. */
export interface HostRewrite {
  /** With a port where one is meant: `ratings` or `ratings:9080`. At most 253 characters. */
  readonly host?: string;
}

/** What is sent instead of the call's path and host; rules and redirects still see what the caller asked for. The query is kept. */
export interface Rewrite extends PathReplacement, HostRewrite {
  /** Sends the name of the service that answers, `ratings.default.svc.cluster.local` or the first of its `hosts` (Envoy). @default false */
  readonly autoHost?: boolean;
}

/**
 * Compiles the rewrite of paths to what is sent, with query; `match` is the alternative of its rule that the call met.
 * `undefined`: the path stays. Pure.
 */
export const compileRewrite = (
  rewrite: Rewrite,
  substitute: SubstitutionEngine,
): ((question: RouteQuestion, match: RouteMatch | undefined) => string) | undefined => {
  const replace = compilePathReplacement(rewrite, substitute);
  if (replace === undefined) return undefined;
  return (question, match) => {
    const [path, query] = splitQuery(question.path);
    return replace(path, match?.path) + query;
  };
};

/** Whether a rewrite makes sense under the matches of its rule. */
export const checkRewrite = (
  path: PolicyPath,
  rewrite: Rewrite | undefined,
  matches: readonly RouteMatch[] | undefined,
  check: Check,
): void => {
  if (rewrite === undefined) return;
  const { host, autoHost } = rewrite;
  check.text([...path, "host"], host, wrongAuthority);
  check.text([...path, "path"], rewrite.path, wrongReplacement);
  checkPathReplacement(path, rewrite, matches, check);
  if (host !== undefined && autoHost === true) check.report(path, "host and autoHost are set: set at most one");
  if (Object.keys(rewrite).length === 0) {
    check.report(path, "nothing is rewritten: set path, prefix, regex, host or autoHost, or leave the field out");
  }
};
