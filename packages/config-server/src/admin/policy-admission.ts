import {
  checkPolicies,
  namespaceOf,
  type Policy,
  PolicyError,
  type PolicyKey,
  type PolicyProblem,
  policyKey,
} from "@tulle/policy";
import { parsePolicies } from "@tulle/policy/schema";
import type { ApplyResult, EndpointList, MemberStatus } from "@tulle/protocol";
import type { AuditEvent, AuditLog } from "../audit/audit-log.ts";
import type { MemberCallers } from "../push/members.ts";
import { unsendableResources } from "../snapshots/policy-snapshot.ts";
import { changePolicies } from "../store/change-policies.ts";
import type { PolicyChangeSet, PolicyRevision, PolicyStore } from "../store/policy-store.ts";
import { applyWarnings } from "./apply-warnings.ts";
import { featureWarnings } from "./feature-warnings.ts";
import { proveRegexes } from "./policy-regex.ts";
import { unreadableRoots } from "./policy-roots.ts";
import { strictWarnings } from "./strict-warnings.ts";

/** An apply as it came in, with its defaults filled in. */
export interface ApplyOrder {
  /** Not yet known to be policies. */
  readonly policies: readonly unknown[];
  readonly dryRun: boolean;
  readonly prune: boolean;
  readonly message: string;
  readonly author: string;
}

/** Lets changes into the policy store: all of a change or nothing of it, and only what the whole mesh can live with. */
export interface PolicyAdmission {
  /** @throws PolicyError with all problems. */
  apply(order: ApplyOrder): Promise<ApplyResult>;
  /** @throws PolicyError when what remains would refer to what goes. */
  remove(keys: readonly PolicyKey[], author: string): Promise<ApplyResult>;
  /** Makes the content of an earlier revision a new one. @throws PolicyError when it is no longer acceptable. */
  restore(earlier: PolicyRevision, author: string): Promise<ApplyResult>;
}

/** What policies are let in by. */
export interface PolicyAdmissionOptions {
  readonly policyStore: PolicyStore;
  readonly trustDomain: string;
  readonly audit: AuditLog;
  /** Warnings look at who is there. */
  endpoints(): EndpointList;
  members(): readonly MemberStatus[];
  plaintextCallers(): readonly MemberCallers[];
  /** Milliseconds since 1970. */
  wallNow(): number;
}

/** Makes the one door to the policy store. Each change leaves a line in the audit log. */
export const createPolicyAdmission = (options: PolicyAdmissionOptions): PolicyAdmission => {
  const { policyStore, trustDomain, audit } = options;

  const review = (candidate: ReadonlyMap<PolicyKey, Policy>): void => {
    const policies = [...candidate.values()];
    const problems = [
      // Places among all policies of the mesh mean nothing to whoever sent some of them.
      ...checkPolicies(policies).map(({ index: _, ...problem }) => problem),
      ...otherTrustDomain(policies, trustDomain),
      ...unreadableRoots(policies),
      ...unsendableResources(policies).map(({ name, message }) => ({ path: "", message: `${name}: ${message}` })),
    ];
    if (problems.length > 0) throw new PolicyError(problems);
  };

  const write = async (event: AuditEvent["event"], change: PolicyChangeSet): Promise<ApplyResult> => {
    const result = await policyStore.apply(change, review);
    const changed = result.changes.filter(({ change: kind }) => kind !== "unchanged");
    if (changed.length === 0) return result;
    const first = changed.slice(0, 10).map(({ key }) => key);
    await audit.record({
      event,
      actor: change.author,
      detail: { revision: result.revision, changed: changed.length, first: first.join(" "), message: change.message },
    });
    return result;
  };

  const warnOfStrict = (
    before: ReadonlyMap<PolicyKey, Policy>,
    after: ReadonlyMap<PolicyKey, Policy>,
  ): readonly string[] =>
    strictWarnings(
      [...before.values()],
      [...after.values()],
      options.plaintextCallers(),
      options.members(),
      options.wallNow(),
    );

  return {
    apply: async ({ policies, dryRun, prune, message, author }) => {
      const puts = await readPolicies(policies);
      const present = policyStore.head.current;
      const deletes = prune ? leftOver(present, puts) : [];
      const next = changePolicies(present.policies, puts, deletes);
      const warnings = [
        ...applyWarnings(puts, [...next.policies.values()], options.endpoints()),
        ...featureWarnings(puts, options.members()),
        ...warnOfStrict(present.policies, next.policies),
      ];
      if (!dryRun) return { ...(await write("policies-applied", { puts, deletes, author, message })), warnings };
      review(next.policies);
      return { revision: present.revision, changes: next.changes, warnings };
    },
    remove: (keys, author) =>
      write("policies-deleted", {
        puts: [],
        deletes: keys,
        author,
        message: `delete ${keys.join(" ")}`.slice(0, 1000),
      }),
    restore: async (earlier, author) => {
      const deletes = [...policyStore.head.current.policies.keys()].filter((key) => !earlier.policies.has(key));
      const message = `roll back to ${earlier.revision}`;
      const puts = [...earlier.policies.values()];
      const result = await write("policies-rolled-back", { puts, deletes, author, message });
      return { ...result, warnings: featureWarnings(puts, options.members()) };
    },
  };
};

const readPolicies = async (values: readonly unknown[]): Promise<readonly Policy[]> => {
  const { policies, problems } = parsePolicies(values);
  if (problems.length > 0) throw new PolicyError(problems);
  const proven = await proveAll(policies);
  const found = [...proven.flatMap((each) => each.problems), ...namedTwice(policies)];
  if (found.length > 0) throw new PolicyError(found);
  return proven.map(({ policy }) => policy);
};

// One after the other: each analysis may take a second of a core.
const proveAll = async (policies: readonly Policy[]): Promise<readonly Awaited<ReturnType<typeof proveRegexes>>[]> => {
  const proven = [];
  for (const policy of policies) proven.push(await proveRegexes(policy));
  return proven;
};

const namedTwice = (policies: readonly Policy[]): readonly PolicyProblem[] => {
  const seen = new Map<PolicyKey, Policy>();
  return policies.flatMap((policy) => {
    const key = policyKey(policy);
    const first = seen.get(key);
    seen.set(key, first ?? policy);
    if (first === undefined) return [];
    const where = first.origin === undefined ? "" : ` (first at ${first.origin.file}:${first.origin.line})`;
    return [problemOf(policy, "name", `${key} is there twice${where}`)];
  });
};

/** What an apply that is to be the whole of its namespaces does not name. */
const leftOver = (present: PolicyRevision, puts: readonly Policy[]): readonly PolicyKey[] => {
  const namespaces = new Set(puts.map(namespaceOf));
  const kept = new Set(puts.map(policyKey));
  return [...present.policies]
    .filter(([key, policy]) => namespaces.has(namespaceOf(policy)) && !kept.has(key))
    .map(([key]) => key);
};

const otherTrustDomain = (policies: readonly Policy[], trustDomain: string): readonly PolicyProblem[] =>
  policies.flatMap((policy) =>
    policy.kind === "Mesh" && policy.trustDomain !== undefined && policy.trustDomain !== trustDomain
      ? [problemOf(policy, "trustDomain", `this config-server issues certificates for "${trustDomain}"`)]
      : [],
  );

const problemOf = (policy: Policy, path: string, message: string): PolicyProblem => ({
  policy: policyKey(policy),
  path,
  message,
  ...(policy.origin === undefined ? {} : { origin: policy.origin }),
});
