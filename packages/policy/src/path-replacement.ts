import { wrongPath } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import type { RouteMatch } from "./route-match.ts";
import type { RouteMatcher, RouteQuestion } from "./route-matcher.ts";
import type { RoutePolicy } from "./route-policy.ts";

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
   * Stands for the prefix that the rule matches, or for the whole path where the rule matches exactly. A slash at the end of
   * either means nothing, and "" is as good as "/" (Gateway API). Every match of the rule must be by `prefix` or `exact`.
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

/** What compiling a replacement needs. */
export interface ReplacementTools {
  readonly substitute: SubstitutionEngine;
  /** Compiles routes as the rules of calls are. */
  readonly matcherOf: (routes: readonly RoutePolicy[]) => RouteMatcher;
}

/** Makes a new path of a call's, both without query. */
export type ReplacePath = (path: string, question: RouteQuestion) => string;

/** Compiles a replacement under the matches of its rule. `undefined`: the path stays. */
export const compilePathReplacement = (
  { path: whole, prefix, regex }: PathReplacement,
  matches: readonly RouteMatch[] | undefined,
  { substitute, matcherOf }: ReplacementTools,
): ReplacePath | undefined => {
  if (whole !== undefined) return () => whole;
  if (regex !== undefined) {
    const replace = substitute(regex);
    return (path) => withSlash(replace(path));
  }
  if (prefix === undefined) return undefined;
  const matchedAt = compileMatched(matches ?? [], matcherOf);
  return (path, question) => replaceMatched(path, matchedAt(question), prefix);
};

/** Puts `replacement` in the place of what a match says of the path. The Gateway API's table of slashes. */
export const replaceMatched = (path: string, matched: RouteMatch["path"], replacement: string): string => {
  if (matched === undefined || "exact" in matched) return withSlash(replacement);
  const stem = "prefix" in matched ? withoutSlash(matched.prefix) : "";
  return withSlash(withoutSlash(replacement) + path.slice(stem.length));
};

/** Which of a rule's alternatives a call met. Only where they differ must they be asked again. */
const compileMatched = (
  matches: readonly RouteMatch[],
  matcherOf: ReplacementTools["matcherOf"],
): ((question: RouteQuestion) => RouteMatch["path"]) => {
  const [first, ...others] = matches.map(({ path }) => path);
  const written = JSON.stringify(first);
  if (others.every((each) => JSON.stringify(each) === written)) return () => first;
  const alternatives = matcherOf([
    { kind: "Route", name: "alternatives", services: [], rules: matches.map((match) => ({ match: [match] })) },
  ]);
  return (question) => matches[alternatives(question)?.ruleIndex ?? 0]?.path;
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
      "a prefix is replaced only where the rule matches one: give every match a path by prefix or exact, such as { prefix: / }, or use path or regex",
    );
  }
  if (regex === undefined) return;
  check.text([...path, "regex", "pattern"], regex.pattern, wrongLength);
  check.text([...path, "regex", "substitution"], regex.substitution, wrongSubstitution);
};

const matchesPrefix = ({ path }: RouteMatch): boolean => path !== undefined && ("prefix" in path || "exact" in path);

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
