import {
  type Cors,
  type MeshPolicy,
  nativePattern,
  type Policy,
  type PolicyProblem,
  policyKey,
  type RegexProof,
  type RegexSubstitution,
  type RetryPolicy,
  type RouteMatch,
  type RoutePolicy,
  type RouteRule,
  type StringMatch,
} from "@tulle/policy";
import { LRUCache } from "lru-cache";
import { RE2JS, RE2JSSyntaxException } from "re2js";
import { check } from "recheck";

/** What is known of a pattern: RE2 or not, and whether it is also safe on V8, which is 40 times faster. */
export type PatternClass =
  | { readonly syntax: "re2"; readonly linear: boolean }
  | { readonly syntax: "invalid"; readonly reason: string };

/** A longer pattern is refused before it is analysed. */
export const MAX_PATTERN_LENGTH = 1024;

/** A pattern whose analysis takes longer is taken for one that is not linear. */
const ANALYSIS_TIMEOUT_MS = 1000;

const classes = new LRUCache<string, PatternClass>({ max: 1000 });

/** Classes a pattern, which is matched in full. Pure but for its memory of the last thousand. */
export const classifyPattern = async (pattern: string): Promise<PatternClass> => {
  const known = classes.get(pattern) ?? (await analyse(pattern));
  classes.set(pattern, known);
  return known;
};

const analyse = async (pattern: string): Promise<PatternClass> => {
  if (pattern.length > MAX_PATTERN_LENGTH) {
    return { syntax: "invalid", reason: `it has ${pattern.length} characters, more than ${MAX_PATTERN_LENGTH}` };
  }
  try {
    RE2JS.compile(pattern);
  } catch (error) {
    return { syntax: "invalid", reason: error instanceof RE2JSSyntaxException ? error.message : String(error) };
  }
  return { syntax: "re2", linear: meansTheSameOnV8(pattern) && (await isLinear(pattern)) };
};

// In Unicode mode V8 refuses what it would read otherwise than RE2 does, such as `[[:alpha:]]` or `\A`.
const meansTheSameOnV8 = (pattern: string): boolean => {
  const native = nativePattern(pattern);
  if (native === undefined) return false;
  try {
    new RegExp(native, "u");
    return true;
  } catch {
    return false;
  }
};

// Only the automaton proves; the other checker looks for attacks and may overlook one.
const isLinear = async (pattern: string): Promise<boolean> => {
  // A thread of ours. Otherwise it starts a native program, and when that dies every later answer is waited for in vain.
  process.env.RECHECK_BACKEND ??= "worker";
  const { status } = await check(`^(?:${pattern})$`, "", { checker: "automaton", timeout: ANALYSIS_TIMEOUT_MS });
  return status === "safe";
};

/** A policy with the proofs of its patterns, or what is wrong with them. */
export interface ProvenPolicy {
  readonly policy: Policy;
  readonly problems: readonly PolicyProblem[];
}

/** Sets `linear` on each pattern of a policy that may run on V8, and tells of those that RE2 cannot express. */
export const proveRegexes = async (policy: Policy): Promise<ProvenPolicy> => {
  if (!hasPatterns(policy)) return { policy, problems: [] };
  const patterns = new Map<string, PatternClass>();
  const problems: PolicyProblem[] = [];
  for (const { regex, path } of patternsOf(policy)) {
    const found = await classifyPattern(regex);
    patterns.set(regex, found);
    if (found.syntax === "re2") continue;
    problems.push(problemAt(policy, path, notRe2(regex, found.reason)));
  }
  for (const { path, ...written } of substitutionsOf(policy)) {
    const message = wrongSubstitution(written);
    if (message !== undefined) problems.push(problemAt(policy, path, message));
  }
  const proven = mapPatterns(policy, (match) => {
    const found = patterns.get(match.regex);
    return found?.syntax === "re2" && found.linear ? { ...unproven(match), linear: true } : unproven(match);
  });
  return { policy: proven, problems };
};

const notRe2 = (pattern: string, reason: string): string =>
  `the pattern "${pattern.slice(0, 200)}" is not RE2 (which has no lookaround and no back-references): ${reason}`;

const problemAt = (policy: Policy, path: string, message: string): PolicyProblem => ({
  policy: policyKey(policy),
  path,
  message,
  ...(policy.origin === undefined ? {} : { origin: policy.origin }),
});

/** What is wrong with a substitution that only its pattern tells. It is searched for, so no proof would help it onto V8. */
const wrongSubstitution = ({ pattern, substitution }: RegexSubstitution): string | undefined => {
  try {
    const groups = RE2JS.compile(pattern).groupCount();
    const named = Math.max(0, ...[...substitution.matchAll(/\\([0-9\\])/g)].map(([, name]) => Number(name) || 0));
    return named > groups ? `the substitution names group ${named}, but the pattern has ${groups}` : undefined;
  } catch (error) {
    return notRe2(pattern, error instanceof RE2JSSyntaxException ? error.message : String(error));
  }
};

/** What the rules of a policy put in the place of patterns. */
const substitutionsOf = (policy: Policy): readonly (RegexSubstitution & { readonly path: string })[] =>
  policy.kind !== "Route"
    ? []
    : policy.rules.flatMap(({ redirect, rewrite }, index) =>
        Object.entries({ redirect, rewrite }).flatMap(([field, action]) =>
          action?.regex === undefined ? [] : [{ ...action.regex, path: `rules[${index}].${field}.regex` }],
        ),
      );

/** The policy as its author wrote it, without proofs. */
export const withoutProofs = (policy: Policy): Policy => (hasPatterns(policy) ? mapPatterns(policy, unproven) : policy);

/** The patterns of a policy, with its proofs, that may not run on V8. */
export const patternsForRe2 = (policy: Policy): readonly string[] =>
  hasPatterns(policy)
    ? [
        ...patternsOf(policy).flatMap(({ regex, linear }) => (linear === true ? [] : [regex])),
        ...substitutionsOf(policy).map(({ pattern }) => pattern),
      ]
    : [];

/** The kinds that compare by pattern. */
const hasPatterns = (policy: Policy): policy is RoutePolicy | MeshPolicy =>
  policy.kind === "Route" || policy.kind === "Mesh";

const patternsOf = (policy: RoutePolicy | MeshPolicy): readonly (RegexMatch & { readonly path: string })[] => {
  const found: (RegexMatch & { readonly path: string })[] = [];
  mapPatterns(policy, (match, path) => {
    found.push({ ...match, path: `${path}.regex` });
    return match;
  });
  return found;
};

/** A copy of the policy in which every comparison by pattern is what `change` makes of it. */
const mapPatterns = <P extends RoutePolicy | MeshPolicy>(
  policy: P,
  change: <T extends RegexMatch>(match: T, path: string) => T,
): P => {
  const changed = <T extends object>(match: T, path: string): T => (isRegexMatch(match) ? change(match, path) : match);
  const mapRecord = (record: Readonly<Record<string, StringMatch>>, path: string) =>
    Object.fromEntries(Object.entries(record).map(([name, match]) => [name, changed(match, `${path}.${name}`)]));
  const mapMatch = (match: RouteMatch, path: string): RouteMatch => ({
    ...match,
    ...(match.path === undefined ? {} : { path: changed(match.path, `${path}.path`) }),
    ...(match.method === undefined ? {} : { method: changed(match.method, `${path}.method`) }),
    ...(match.scheme === undefined ? {} : { scheme: changed(match.scheme, `${path}.scheme`) }),
    ...(match.authority === undefined ? {} : { authority: changed(match.authority, `${path}.authority`) }),
    ...(match.source?.identity === undefined
      ? {}
      : { source: { ...match.source, identity: changed(match.source.identity, `${path}.source.identity`) } }),
    ...(match.headers === undefined ? {} : { headers: mapRecord(match.headers, `${path}.headers`) }),
    ...(match.query === undefined ? {} : { query: mapRecord(match.query, `${path}.query`) }),
  });
  const mapRetry = (retry: RetryPolicy, path: string): RetryPolicy => ({
    ...retry,
    ...(retry.retriableHeaders === undefined
      ? {}
      : { retriableHeaders: mapRecord(retry.retriableHeaders, `${path}.retriableHeaders`) }),
    ...(retry.retriableRequestHeaders === undefined
      ? {}
      : { retriableRequestHeaders: mapRecord(retry.retriableRequestHeaders, `${path}.retriableRequestHeaders`) }),
  });
  const mapCors = (cors: Cors, path: string): Cors => ({
    ...cors,
    allowOrigins: cors.allowOrigins.map((match, index) => changed(match, `${path}.allowOrigins[${index}]`)),
  });
  const mapRule = (rule: RouteRule, path: string): RouteRule => ({
    ...rule,
    ...(rule.match === undefined
      ? {}
      : { match: rule.match.map((match, index) => mapMatch(match, `${path}.match[${index}]`)) }),
    ...(typeof rule.retry === "object" ? { retry: mapRetry(rule.retry, `${path}.retry`) } : {}),
    ...(rule.fault?.headers === undefined
      ? {}
      : { fault: { ...rule.fault, headers: mapRecord(rule.fault.headers, `${path}.fault.headers`) } }),
    ...(rule.cors === undefined ? {} : { cors: mapCors(rule.cors, `${path}.cors`) }),
  });
  if (policy.kind === "Route") {
    return { ...policy, rules: policy.rules.map((rule, index) => mapRule(rule, `rules[${index}]`)) };
  }
  const retry = policy.defaults?.retry;
  return retry === undefined
    ? policy
    : { ...policy, defaults: { ...policy.defaults, retry: mapRetry(retry, "defaults.retry") } };
};

type RegexMatch = { readonly regex: string } & RegexProof;

const isRegexMatch = <T extends object>(match: T): match is T & RegexMatch =>
  "regex" in match && typeof match.regex === "string";

const unproven = <T extends RegexMatch>(match: T): T => {
  const { linear: _, ...bare } = match;
  // What is left out is optional, which a spread of a generic type cannot say.
  return bare as unknown as T;
};
