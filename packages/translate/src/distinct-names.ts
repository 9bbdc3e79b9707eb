import { type Policy, policyKey } from "@tulle/policy";
import { policyName } from "./policy-name.ts";
import type { TranslatedPolicy } from "./translator.ts";

/**
 * Gives every policy a name of its own: documents of different kinds may have one name, and become one kind of policy. The first
 * keeps it, and the others get their document's kind behind it. A host outside that several documents name is told of once.
 */
export const distinctNames = (policies: readonly TranslatedPolicy[]): readonly TranslatedPolicy[] => {
  const taken = new Set<string>();
  return policies.flatMap((each): readonly TranslatedPolicy[] => {
    const { policy, from } = each;
    if (policy.kind === "Mesh") return [each];
    if (!taken.has(policyKey(policy))) {
      taken.add(policyKey(policy));
      return [each];
    }
    if (policy.kind === "ExternalService") return [];
    let renamed: Policy = policy;
    for (let further = 1; taken.has(policyKey(renamed)); further += 1) {
      const ending = `-${from[0]?.kind.toLowerCase() ?? "other"}${further === 1 ? "" : `-${further}`}`;
      renamed = { ...policy, name: policyName(policy.name, ending) };
    }
    taken.add(policyKey(renamed));
    return [{ ...each, policy: renamed }];
  });
};
