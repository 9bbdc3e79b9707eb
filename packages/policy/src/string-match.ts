/**
 * What the analysis of a pattern has shown. Set by the config-server when a policy is applied, never by users: the schema
 * refuses it from them.
 */
export interface RegexProof {
  /** The pattern runs in linear time on a backtracking engine, so the fast engine of the runtime may run it. */
  readonly linear?: true;
}

/**
 * How a header, a query parameter, a method or another text is compared. Exactly one field is set. `regex` is RE2 syntax,
 * matched in full; `present: false` means absent. An absent value fails every comparison but `present: false`. `invert`
 * turns the answer round.
 */
export type StringMatch =
  | { readonly exact: string; readonly invert?: boolean }
  | { readonly prefix: string; readonly invert?: boolean }
  | { readonly suffix: string; readonly invert?: boolean }
  | ({ readonly regex: string; readonly invert?: boolean } & RegexProof)
  | { readonly present: boolean; readonly invert?: boolean };

/**
 * How a path is compared, as it is sent, without its query. Exactly one way is set; `invert` turns the answer round.
 *
 * - `prefix` ends on segment borders: `/a` matches `/a` and `/a/b`, not `/ab`;
 * - `startsWith` is plain text, as Istio's `prefix` is: `/a` matches `/ab` too;
 * - `regex` is RE2 syntax, matched in full;
 * - `template` has operators: `{id}` or `*` for one segment, `{path=**}` or `**` for the rest.
 */
export type PathMatch =
  | { readonly exact: string; readonly invert?: boolean }
  | { readonly prefix: string; readonly invert?: boolean }
  | { readonly startsWith: string; readonly invert?: boolean }
  | ({ readonly regex: string; readonly invert?: boolean } & RegexProof)
  | { readonly template: string; readonly invert?: boolean };

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

/** What an engine may know of a pattern. */
export const proofOf = (match: RegexProof): RegexProof => (match.linear === true ? { linear: true } : {});
