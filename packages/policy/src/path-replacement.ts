import { wrongPath } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import type { RouteMatch } from "./route-match.ts";
import type { PathMatch } from "./string-match.ts";

/** What is found in a path and what is put in its place, everywhere in it (Envoy's regex rewrite). */
export interface RegexSubstitution {
  /** RE2 syntax; found anywhere in the path, unlike the patterns of matches. At most 1,024 characters. */
  readonly pattern: string;
  /** `\1` to `\9` stand for the groups, `\0` for all that was found, `\\` for a backslash. At most 1,024 characters. */
  readonly substitution: string;
}

/** What becomes of a call's path; at most one field is set. */
export interface PathReplacement {
  /** Stands for the whole path. */
  readonly path?: string;
  /**
   * Stands for the prefix that the call met, or for the whole path where it met an `exact` one. A slash at the end of either
   * means nothing, and "" is as good as "/" (Gateway API); under `startsWith` it is plain text. Every match of the rule must be
   * by one of the three.
   */
  readonly prefix?: string;
  readonly regex?: RegexSubstitution;
}

/** Longest pattern, substitution and replaced path in a policy, characters: 1,024. */
export const MAX_REPLACEMENT_LENGTH = 1_024;

/**
 * Makes the substitution of a pattern. Handed in, as the engine of matches is; linear in the text, which it bounds: a longer
 * text, or one that would become longer, stays as it is.
 *
 * @throws SyntaxError when the pattern is not RE2.
 */
export type SubstitutionEngine = (rule: RegexSubstitution) => (text: string) => string;

/** Makes a new path of a call's, both without query. `matched`: how the call met its rule. */
export type ReplacePath = (path: string, matched: PathMatch | undefined) => string;

/** Compiles a replacement. `undefined`: the path stays. */
export const compilePathReplacement = (
  { path: whole, prefix, regex }: PathReplacement,
  substitute: SubstitutionEngine,
): ReplacePath | undefined => {
  if (whole !== undefined) return () => whole;
  if (regex !== undefined) {
    const replace = substitute(regex);
    return (path) => withSlash(replace(path));
  }
  return prefix === undefined ? undefined : (path, matched) => replaceMatched(path, matched, prefix);
};

/**
 * Puts `replacement` in the place of what a match says of the path: for `prefix` by the Gateway API's table of slashes, for
 * `startsWith` as plain text (Envoy).
 */
export const replaceMatched = (path: string, matched: PathMatch | undefined, replacement: string): string => {
  if (matched === undefined || "exact" in matched) return withSlash(replacement);
  if ("startsWith" in matched) return withSlash(replacement + path.slice(matched.startsWith.length));
  const stem = "prefix" in matched ? withoutSlash(matched.prefix) : "";
  return withSlash(withoutSlash(replacement) + path.slice(stem.length));
};

const withoutSlash = (path: string): string => (path.endsWith("/") ? path.slice(0, -1) : path);

const withSlash = (path: string): string => (path.startsWith("/") ? path : `/${path}`);

/** Cuts a path with its query in two; the query keeps its "?". */
export const splitQuery = (path: string): readonly [path: string, query: string] => {
  const at = path.indexOf("?");
  return at < 0 ? [path, ""] : [path.slice(0, at), path.slice(at)];
};

/** Whether a replacement makes sense under the matches of its rule. */
export const checkPathReplacement = (
  path: PolicyPath,
  { path: whole, prefix, regex }: PathReplacement,
  matches: readonly RouteMatch[] | undefined,
  check: Check,
): void => {
  const set = Object.entries({ path: whole, prefix, regex }).flatMap(([name, value]) =>
    value === undefined ? [] : [name],
  );
  if (set.length > 1) check.report(path, `${set.join(" and ")} are set: set at most one`);
  check.text([...path, "prefix"], prefix === "" ? undefined : prefix, wrongReplacement);
  if (prefix !== undefined && !(matches ?? [{}]).every(matchesPrefix)) {
    check.report(
      [...path, "prefix"],
      "a prefix is replaced only where the rule matches one: give every match a path by prefix, startsWith or exact, such as { prefix: / }, or use path or regex",
    );
  }
  if (regex === undefined) return;
  check.text([...path, "regex", "pattern"], regex.pattern, wrongLength);
  check.text([...path, "regex", "substitution"], regex.substitution, wrongSubstitution);
};

const matchesPrefix = ({ path }: RouteMatch): boolean =>
  path !== undefined && path.invert !== true && ("prefix" in path || "startsWith" in path || "exact" in path);

/** What is wrong with a path that stands for another, if anything. */
export const wrongReplacement = (text: string): string | undefined =>
  wrongPath(text) ?? wrongLength(text) ?? wrongCharacters(text);

const wrongLength = (text: string): string | undefined =>
  text.length > MAX_REPLACEMENT_LENGTH
    ? `it has ${text.length} characters, more than ${MAX_REPLACEMENT_LENGTH}`
    : undefined;

/** What is wrong with characters that are sent in a path as they are, if anything. */
export const wrongCharacters = (text: string): string | undefined =>
  /^[!-~]*$/.test(text) ? undefined : `"${text}" has characters that a path cannot have: write them percent-encoded`;

const wrongSubstitution = (text: string): string | undefined => {
  if (text.includes("?") || text.includes("#")) return `"${text}" is not part of a path: leave out the query`;
  if (text.replaceAll(/\\[0-9\\]/g, "").includes("\\"))
    return `"${text}" has a lonely backslash: write \\0 to \\9 for a group, or \\\\`;
  return wrongLength(text) ?? wrongCharacters(text);
};
