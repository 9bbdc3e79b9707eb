import type { AccessOperation, AccessPolicy, AccessRule, AccessSource } from "./access-policy.ts";
import { policyKey } from "./policy.ts";
import type { PolicyOrigin } from "./policy-meta.ts";
import { principalsMeant } from "./trust-domain-aliases.ts";

/** What a call shows of itself to the access policies of the service that it reached. */
export interface AccessQuestion {
  /** The verified SPIFFE ID without `spiffe://`; absent for callers that proved nothing. */
  readonly principal?: string;
  /** The namespace of that identity. */
  readonly namespace?: string;
  /** Upper case. */
  readonly method: string;
  /** As `normalizePath` gives it: without query, normalised. */
  readonly path: string;
}

/** What the access policies of a service say to a call. */
export type AccessVerdict =
  | {
      readonly allowed: true;
      /** The rule that allowed it (`Access/default/reviews rule 0`), or why none was needed. */
      readonly by: string;
    }
  | {
      readonly allowed: false;
      /** The policy that denied it; absent when no allow policy allowed it. */
      readonly policy?: string;
      /** The name or the place of the rule that denied it. */
      readonly rule?: string;
      /** Where that policy was read from, where that is known. */
      readonly origin?: PolicyOrigin;
      /** All policies that were looked at, in order. */
      readonly considered: readonly string[];
    };

/** Decides one call. Pure, and free of allocation but for refusals. */
export type AccessDecision = (question: AccessQuestion) => AccessVerdict;

/** Why a call is allowed to a service that no allow policy selects. */
export const ALLOWED_BY_DEFAULT = "no allow policy selects the service";

/**
 * Compiles the access policies that select one service (Istio's semantics): a deny that fits refuses; else, where no
 * allow policy selects the service, the call is allowed; else some rule of some allow policy must fit. An allow without
 * rules allows nothing, and a deny without rules denies nothing.
 *
 * What this version does not know makes a policy stricter, never laxer: an allow rule that holds an unknown field fits
 * no call, a deny rule fits as if that field were not there, an unknown action denies everything.
 *
 * @param policies those that select the service (`inboundFor(...).access`).
 * @param aliases further names of that domain.
 * @param trustDomain the mesh's own. A principal that begins with `cluster.local/` means it, as in Istio.
 */
export const compileAccess = (
  policies: readonly AccessPolicy[],
  trustDomain: string,
  aliases: readonly string[] = [],
): AccessDecision => {
  const considered = policies.map((policy) => policyKey(policy));
  const denying: CompiledRule[] = [];
  const allowing: CompiledRule[] = [];
  let someAllow = false;
  for (const policy of policies) {
    const action = policy.action ?? "allow";
    if (action === "allow") {
      someAllow = true;
      allowing.push(...compileRules(policy, { trustDomain, aliases, unknown: false }));
    } else if (action === "deny") denying.push(...compileRules(policy, { trustDomain, aliases, unknown: true }));
    // An audit decides nothing.
    else if (action !== "audit") denying.push(denyAll(policy));
  }
  const noneAllows: AccessVerdict = { allowed: false, considered };
  return (question) => {
    for (const { fits, refusal } of denying) {
      if (fits(question)) return { ...refusal, considered };
    }
    if (!someAllow) return allowedByDefault;
    for (const { fits, grant } of allowing) {
      if (fits(question)) return grant;
    }
    return noneAllows;
  };
};

const allowedByDefault: AccessVerdict = { allowed: true, by: ALLOWED_BY_DEFAULT };

type Test = (question: AccessQuestion) => boolean;

interface CompiledRule {
  readonly fits: Test;
  /** The verdict if it is a rule that allows. */
  readonly grant: AccessVerdict;
  /** The verdict, but for what was considered, if it is a rule that denies. */
  readonly refusal: {
    readonly allowed: false;
    readonly policy: string;
    readonly rule: string;
    readonly origin?: PolicyOrigin;
  };
}

/** `unknown` is what a field that this version does not know answers. */
interface Reading {
  readonly trustDomain: string;
  readonly aliases: readonly string[];
  readonly unknown: boolean;
}

const compileRules = (policy: AccessPolicy, reading: Reading): readonly CompiledRule[] =>
  (policy.rules ?? []).map((rule, index) => compiled(policy, rule.name ?? `${index}`, compileRule(rule, reading)));

const compiled = (policy: AccessPolicy, rule: string, fits: Test): CompiledRule => {
  const key = policyKey(policy);
  const origin = policy.origin === undefined ? {} : { origin: policy.origin };
  return {
    fits,
    grant: { allowed: true, by: `${key} rule ${rule}` },
    refusal: { allowed: false, policy: key, rule, ...origin },
  };
};

const denyAll = (policy: AccessPolicy): CompiledRule =>
  compiled(policy, `action ${policy.action} is not supported`, () => true);

const compileRule = (rule: AccessRule, reading: Reading): Test => {
  const tests: Test[] = [];
  if (rule.from !== undefined) tests.push(anyOf(rule.from.map((source) => compileSource(source, reading))));
  if (rule.to !== undefined) tests.push(anyOf(rule.to.map((operation) => compileOperation(operation, reading))));
  tests.push(...unknownFields(rule, knownInRule, reading));
  return allOf(tests);
};

const knownInRule: ReadonlySet<string> = new Set(["name", "from", "to"] satisfies (keyof AccessRule)[]);

const compileSource = (source: AccessSource, reading: Reading): Test => {
  const mine = (principals: readonly string[] | undefined): readonly string[] | undefined =>
    principals?.flatMap((principal) => principalsMeant(principal, reading.trustDomain, reading.aliases));
  return allOf([
    ...compileField(mine(source.principals), mine(source.notPrincipals), (question) => question.principal),
    ...compileField(source.namespaces, source.notNamespaces, (question) => question.namespace),
    ...unknownFields(source, knownInSource, reading),
  ]);
};

const knownInSource: ReadonlySet<string> = new Set([
  "principals",
  "notPrincipals",
  "namespaces",
  "notNamespaces",
] satisfies (keyof AccessSource)[]);

const compileOperation = (operation: AccessOperation, reading: Reading): Test =>
  allOf([
    ...compileField(operation.methods, operation.notMethods, (question) => question.method),
    ...compileField(operation.paths, operation.notPaths, (question) => question.path),
    ...unknownFields(operation, knownInOperation, reading),
  ]);

const knownInOperation: ReadonlySet<string> = new Set([
  "methods",
  "notMethods",
  "paths",
  "notPaths",
] satisfies (keyof AccessOperation)[]);

/** A field and its negation. A caller that lacks the value fits no value, and therefore every `not`. */
const compileField = (
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
  ask: (question: AccessQuestion) => string | undefined,
): readonly Test[] => {
  const tests: Test[] = [];
  if (values !== undefined) {
    const fits = compileValues(values);
    tests.push((question) => fits(ask(question)));
  }
  if (notValues !== undefined) {
    const fits = compileValues(notValues);
    tests.push((question) => !fits(ask(question)));
  }
  return tests;
};

const unknownFields = (value: object, known: ReadonlySet<string>, { unknown }: Reading): readonly Test[] =>
  Object.entries(value).some(([name, field]) => field !== undefined && !known.has(name)) ? [() => unknown] : [];

const compileValues = (values: readonly string[]): ((value: string | undefined) => boolean) => {
  const exact = new Set(values.filter((value) => !value.startsWith("*") && !value.endsWith("*")));
  const wild = values.filter((value) => !exact.has(value)).map(compileWildcard);
  return (value) => {
    if (value === undefined || value === "") return false;
    if (exact.has(value)) return true;
    for (const fits of wild) if (fits(value)) return true;
    return false;
  };
};

/** `*` any value, `*end`, `start*`. Elsewhere a star is an ordinary character, as in Istio. */
const compileWildcard = (pattern: string): ((value: string) => boolean) => {
  if (pattern === "*") return () => true;
  if (pattern.startsWith("*")) {
    const end = pattern.slice(1);
    return (value) => value.endsWith(end);
  }
  const start = pattern.slice(0, -1);
  return (value) => value.startsWith(start);
};

// Loops and not `every` and `some`: those would make a closure for each call that is decided.
const allOf = (tests: readonly Test[]): Test => {
  const [only] = tests;
  if (only === undefined) return () => true;
  if (tests.length === 1) return only;
  return (question) => {
    for (const test of tests) if (!test(question)) return false;
    return true;
  };
};

const anyOf = (tests: readonly Test[]): Test => {
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return only;
  return (question) => {
    for (const test of tests) if (test(question)) return true;
    return false;
  };
};
