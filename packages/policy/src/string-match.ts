/**
 * What the analysis of a pattern has shown. Set by the config-server when a policy is applied, never by users: the schema
 * refuses it from them.
 */
export interface RegexProof {
  /** The pattern runs in linear time on a backtracking engine, so the fast engine of the runtime may run it. */
  readonly linear?: true;
}

/**
 * How a header, query parameter or path segment is compared. Exactly one field is set. `regex` is RE2 syntax, matched in
 * full; `present: false` means absent. An absent value fails every comparison but `present: false`. `invert` turns the
 * answer round.
 */
export type StringMatch =
  | { readonly exact: string; readonly invert?: boolean }
  | { readonly prefix: string; readonly invert?: boolean }
  | { readonly suffix: string; readonly invert?: boolean }
  | ({ readonly regex: string; readonly invert?: boolean } & RegexProof)
  | { readonly present: boolean; readonly invert?: boolean };

/** How a path is compared, without its query. `prefix` ends on segment borders: `/a` matches `/a` and `/a/b`, not `/ab`. */
export type PathMatch =
  | { readonly exact: string }
  | { readonly prefix: string }
  | ({ readonly regex: string } & RegexProof)
  /** Not supported yet. */
  | { readonly template: string };

/**
 * Makes the test of a pattern: whether it matches the whole text. Handed in by whoever compiles matchers, since an engine
 * is a dependency. It bounds the text that it looks at, and takes a backtracking engine only where `proof` allows it.
 *
 * @throws SyntaxError when the pattern is not RE2.
 */
export type RegexEngine = (pattern: string, proof: RegexProof) => (text: string) => boolean;

/** Compiles a comparison once, so that a call only runs it. */
export const compileStringMatch = (
  match: StringMatch,
  engine: RegexEngine,
): ((value: string | undefined) => boolean) => {
  const holds = compileComparison(match, engine);
  return match.invert === true ? (value) => !holds(value) : holds;
};

const compileComparison = (match: StringMatch, engine: RegexEngine): ((value: string | undefined) => boolean) => {
  if ("exact" in match) return (value) => value === match.exact;
  if ("prefix" in match) return (value) => value?.startsWith(match.prefix) ?? false;
  if ("suffix" in match) return (value) => value?.endsWith(match.suffix) ?? false;
  if ("present" in match) return (value) => (value !== undefined) === match.present;
  const matches = engine(match.regex, proofOf(match));
  return (value) => value !== undefined && matches(value);
};

/**
 * Compiles the comparison of a path without its query.
 *
 * @throws RangeError for a template, which is not supported yet.
 */
export const compilePathMatch = (match: PathMatch, engine: RegexEngine): ((path: string) => boolean) => {
  if ("exact" in match) return (path) => path === match.exact;
  if ("prefix" in match) return compilePrefix(match.prefix);
  if ("regex" in match) return engine(match.regex, proofOf(match));
  throw new RangeError("path templates are not supported yet");
};

/** A slash at the end of the prefix means nothing (Gateway API): `/a/` matches `/a` too, and `/` matches every path. */
const compilePrefix = (prefix: string): ((path: string) => boolean) => {
  const stem = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  return (path) => path.startsWith(stem) && (path.length === stem.length || path[stem.length] === "/");
};

const proofOf = (match: RegexProof): RegexProof => (match.linear === true ? { linear: true } : {});
