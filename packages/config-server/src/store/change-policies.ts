import { type Policy, type PolicyKey, policyKey } from "@tulle/policy";
import { canonicalJson, type PolicyChange } from "@tulle/protocol";

/** What a change set makes of the policies that are there. */
export interface ChangedPolicies {
  /** In the order of their keys. */
  readonly policies: ReadonlyMap<PolicyKey, Policy>;
  /** One for each policy that was put, and each that was there and was deleted. */
  readonly changes: readonly PolicyChange[];
}

/**
 * Puts and deletes policies. Equal ones stay the same object, and where a policy was read from is no difference: a line more
 * at the top of a file does not make a revision.
 */
export const changePolicies = (
  present: ReadonlyMap<PolicyKey, Policy>,
  puts: readonly Policy[],
  deletes: readonly PolicyKey[],
): ChangedPolicies => {
  const next = new Map(present);
  const changes = new Map<PolicyKey, PolicyChange["change"]>();
  for (const key of deletes) {
    if (next.delete(key)) changes.set(key, "deleted");
  }
  for (const policy of puts) {
    const key = policyKey(policy);
    const before = present.get(key);
    const same = before !== undefined && saysTheSame(before, policy);
    changes.set(key, same ? "unchanged" : before === undefined ? "created" : "updated");
    next.set(key, same ? before : policy);
  }
  return {
    policies: new Map([...next].sort(([a], [b]) => (a < b ? -1 : 1))),
    changes: [...changes].map(([key, change]) => ({ key, change })),
  };
};

const saysTheSame = (a: Policy, b: Policy): boolean =>
  canonicalJson(withoutOrigins(a)) === canonicalJson(withoutOrigins(b));

/** A line that moved in its file changes nothing. */
const withoutOrigins = (policy: Policy): object => ({
  ...policy,
  origin: undefined,
  ...(policy.kind === "Route" ? { rules: policy.rules.map((rule) => ({ ...rule, origin: undefined })) } : {}),
});
