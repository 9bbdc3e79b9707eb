import { AccessIndex, type IndexedRule } from "./access-index.ts";
import { namesRoutes } from "./access-operation.ts";
import type { AccessAction, AccessPolicy, AccessRule } from "./access-policy.ts";
import type { AccessQuestion, AccessTest } from "./access-question.ts";
import { compileAccessRule, type RuleReading } from "./access-rule.ts";
import { DEFAULT_PATH_NORMALIZATION, type PathNormalization } from "./path-normalization.ts";
import { policyKey } from "./policy.ts";
import { namespaceOf, type PolicyOrigin } from "./policy-meta.ts";

/** A rule that fitted a call. */
export interface FittingRule {
  /** The policy's key, such as `Access/default/reviews`. */
  readonly policy: string;
  /** The rule's name, or its place. */
  readonly rule: string;
  /** Where the policy was read from, where that is known. */
  readonly origin?: PolicyOrigin;
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
      /** All policies that were looked at, in order, each with the place that it was read from, where that is known. */
      readonly considered: readonly string[];
    };

/** Decides one call. Pure, and free of allocation but for refusals. */
export type AccessDecision = (question: AccessQuestion) => AccessVerdict;

/** A rule of a custom policy fitted: somebody outside must be asked. */
export interface AccessAsk extends FittingRule {
  /** The name that `Mesh.authorizers` gives it. */
  readonly authorizer: string;
}

/** What policies in dry-run would have changed about a call, if they were enforced. */
export interface DryRunFinding extends Partial<FittingRule> {
  /**
   * `deny`: it would have been refused, by the policy and rule that are named, or, without a name, because no allow policy
   * allows it; `allow`: it would have been let in; `ask`: an authorizer would have been asked; `audit`: it would have been
   * counted.
   */
  readonly outcome: "deny" | "allow" | "ask" | "audit";
}

/** The access policies of one service, ready for its calls. */
export interface CompiledAccess {
  /** What deny and allow policies say. */
  readonly decide: AccessDecision;
  /** Whether some rule, also one in dry-run, can be decided only when the framework has found the route. */
  readonly namesRoutes: boolean;
  /** Whom custom policies ask about a call, each once. Absent without such policies. They are asked before `decide`. */
  readonly asks: ((question: AccessQuestion) => readonly AccessAsk[]) | undefined;
  /** Which rules of audit policies fit. Absent without such policies. */
  readonly audits: ((question: AccessQuestion) => readonly FittingRule[]) | undefined;
  /** What policies in dry-run would have changed. Absent without such policies. */
  readonly dryRun: ((question: AccessQuestion, verdict: AccessVerdict) => readonly DryRunFinding[]) | undefined;
}

/** What access policies mean besides what they say. */
export interface AccessReading {
  /** The mesh's own. A principal that begins with `cluster.local/` means it, as in Istio. */
  readonly trustDomain: string;
  /** Its other names. @default none */
  readonly aliases?: readonly string[];
  /** How the paths of calls were brought into one form. @default strict */
  readonly normalization?: PathNormalization;
}

/** Why a call is allowed to a service that no allow policy selects. */
export const ALLOWED_BY_DEFAULT = "no allow policy selects the service";

/**
 * Compiles the access policies that select one service (Istio's semantics): custom rules that fit ask somebody outside; then a
 * deny that fits refuses; else, where no allow policy selects the service, the call is allowed; else some rule of some allow
 * policy must fit. An allow without rules allows nothing, and a deny without rules denies nothing.
 *
 * What this version does not know makes a policy stricter, never laxer: an allow rule that holds an unknown field fits
 * no call, a deny rule fits as if that field were not there, an unknown action denies everything.
 *
 * @param policies those that select the service (`inboundFor(...).access`).
 */
export const compileAccess = (policies: readonly AccessPolicy[], options: AccessReading): CompiledAccess => {
  const enforced = rulesOf(
    policies.filter((policy) => policy.mode !== "dry-run"),
    options,
  );
  const tried = rulesOf(
    policies.filter((policy) => policy.mode === "dry-run"),
    options,
  );
  return {
    decide: decisionOf(enforced),
    namesRoutes: policies.some(({ rules = [] }) => rules.some(({ to = [] }) => to.some(namesRoutes))),
    asks: asksOf(enforced.custom),
    audits: auditsOf(enforced.audit),
    dryRun: tried.keys.length === 0 ? undefined : dryRunOf(tried),
  };
};

/** Policies of one mode, by what they do. */
interface RuleSet {
  readonly keys: readonly string[];
  readonly deny: AccessIndex<CompiledRule>;
  readonly allow: AccessIndex<CompiledRule>;
  readonly audit: AccessIndex<CompiledRule> | undefined;
  /** By authorizer. */
  readonly custom: ReadonlyMap<string, AccessIndex<CompiledRule>>;
  readonly someAllow: boolean;
}

interface CompiledRule extends IndexedRule {
  readonly fits: AccessTest;
  readonly name: FittingRule;
  /** The verdict if it is a rule that allows. */
  readonly grant: AccessVerdict;
}

interface ReadRule {
  readonly rule: CompiledRule;
  readonly written: AccessRule;
  readonly reading: RuleReading;
}

const rulesOf = (policies: readonly AccessPolicy[], options: AccessReading): RuleSet => {
  const rules: Record<AccessAction, ReadRule[]> = { allow: [], deny: [], audit: [], custom: [] };
  const byAuthorizer = new Map<string, ReadRule[]>();
  for (const policy of policies) {
    const action = policy.action ?? "allow";
    const read = readRules(policy, options, action !== "allow");
    if (action === "custom") {
      const name = policy.authorizer ?? "";
      byAuthorizer.set(name, [...(byAuthorizer.get(name) ?? []), ...read]);
    } else if (Object.hasOwn(rules, action)) rules[action].push(...read);
    else rules.deny.push(denyAll(policy, options));
  }
  return {
    keys: policies.map((policy) => placedKey(policy)),
    deny: new AccessIndex(inOrder(rules.deny)),
    allow: new AccessIndex(inOrder(rules.allow)),
    audit: rules.audit.length === 0 ? undefined : new AccessIndex(inOrder(rules.audit)),
    custom: new Map([...byAuthorizer].map(([name, read]) => [name, new AccessIndex(inOrder(read))])),
    someAllow: policies.some((policy) => (policy.action ?? "allow") === "allow"),
  };
};

const readingOf = (policy: AccessPolicy, options: AccessReading, doubtFits: boolean): RuleReading => ({
  trustDomain: options.trustDomain,
  aliases: options.aliases ?? [],
  namespace: namespaceOf(policy),
  normalization: options.normalization ?? DEFAULT_PATH_NORMALIZATION,
  doubtFits,
});

const readRules = (policy: AccessPolicy, options: AccessReading, doubtFits: boolean): readonly ReadRule[] => {
  const reading = readingOf(policy, options, doubtFits);
  return (policy.rules ?? []).map((written, index) => ({
    rule: compiled(policy, written.name ?? `${index}`, compileAccessRule(written, reading)),
    written,
    reading,
  }));
};

const compiled = (policy: AccessPolicy, rule: string, fits: AccessTest): CompiledRule => {
  const key = policyKey(policy);
  const origin = policy.origin === undefined ? {} : { origin: policy.origin };
  return {
    order: 0,
    fits,
    name: { policy: key, rule, ...origin },
    grant: { allowed: true, by: `${key} rule ${rule}` },
  };
};

const denyAll = (policy: AccessPolicy, options: AccessReading): ReadRule => ({
  rule: compiled(policy, `action ${policy.action} is not supported`, () => true),
  written: {},
  reading: readingOf(policy, options, true),
});

const inOrder = (rules: readonly ReadRule[]): readonly ReadRule[] =>
  rules.map((read, order) => ({ ...read, rule: { ...read.rule, order } }));

const fits = (rule: CompiledRule, question: AccessQuestion): boolean => rule.fits(question);

const placedKey = (policy: AccessPolicy): string => {
  const { origin } = policy;
  return origin === undefined ? policyKey(policy) : `${policyKey(policy)} (${origin.file}:${origin.line})`;
};

const decisionOf = ({ deny, allow, someAllow, keys }: RuleSet): AccessDecision => {
  const noneAllows: AccessVerdict = { allowed: false, considered: keys };
  return (question) => {
    const denying = deny.find(question, fits);
    if (denying !== undefined) return { allowed: false, ...denying.name, considered: keys };
    if (!someAllow) return allowedByDefault;
    return allow.find(question, fits)?.grant ?? noneAllows;
  };
};

const allowedByDefault: AccessVerdict = { allowed: true, by: ALLOWED_BY_DEFAULT };

const asksOf = (custom: RuleSet["custom"]): CompiledAccess["asks"] => {
  if (custom.size === 0) return undefined;
  const indexes = [...custom];
  return (question) => {
    const asks: AccessAsk[] = [];
    for (const [authorizer, index] of indexes) {
      const rule = index.find(question, fits);
      if (rule !== undefined) asks.push({ authorizer, ...rule.name });
    }
    return asks;
  };
};

const auditsOf = (audit: RuleSet["audit"]): CompiledAccess["audits"] => {
  if (audit === undefined) return undefined;
  return (question) => {
    const found: FittingRule[] = [];
    audit.find(question, (rule) => {
      // Another rule of a policy that is counted already says nothing new.
      if (rule.fits(question) && found.at(-1)?.policy !== rule.name.policy) found.push(rule.name);
      return false;
    });
    return found;
  };
};

const dryRunOf = (tried: RuleSet): NonNullable<CompiledAccess["dryRun"]> => {
  const asks = asksOf(tried.custom);
  const audits = auditsOf(tried.audit);
  return (question, verdict) => [
    ...(asks?.(question) ?? []).map(({ authorizer: _, ...name }) => ({ outcome: "ask" as const, ...name })),
    ...(audits?.(question) ?? []).map((name) => ({ outcome: "audit" as const, ...name })),
    ...changeOf(tried, question, verdict),
  ];
};

/** What deny and allow policies in dry-run would have made of a verdict. */
const changeOf = (tried: RuleSet, question: AccessQuestion, verdict: AccessVerdict): readonly DryRunFinding[] => {
  // A deny that is enforced holds, whatever others would say.
  if (!verdict.allowed && verdict.policy !== undefined) return [];
  const denying = tried.deny.find(question, fits);
  if (denying !== undefined) return verdict.allowed ? [{ outcome: "deny", ...denying.name }] : [];
  if (!tried.someAllow) return [];
  const allowing = tried.allow.find(question, fits);
  if (!verdict.allowed) return allowing === undefined ? [] : [{ outcome: "allow", ...allowing.name }];
  return verdict === allowedByDefault && allowing === undefined ? [{ outcome: "deny" }] : [];
};
