import { checkPolicy } from "./check-policy.ts";
import { checkReferences } from "./check-references.ts";
import type { Policy } from "./policy.ts";
import type { PolicyProblem } from "./policy-problem.ts";

/**
 * All that is wrong with policies that are to hold together: values out of range, what is not supported yet, references
 * that lead nowhere, names defined twice. In the order of the policies, values before references. Empty: they may hold.
 */
export const checkPolicies = (policies: readonly Policy[]): readonly PolicyProblem[] => {
  const alone = policies.flatMap((policy, index) => checkPolicy(policy).map((problem) => ({ ...problem, index })));
  return [...alone, ...checkReferences(policies)].sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
};
