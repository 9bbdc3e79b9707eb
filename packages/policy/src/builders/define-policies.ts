import { checkPolicies } from "../check-policies.ts";
import type { Policy } from "../policy.ts";
import { PolicyError } from "../policy-problem.ts";

/**
 * Holds policies together as one: what builders made, what was written by hand, or both. The result is plain data, ready
 * for `createMesh`, an apply, or `JSON.stringify`.
 *
 * @throws PolicyError with all that is wrong: values, references, what is not supported yet.
 */
export const definePolicies = (policies: readonly Policy[]): readonly Policy[] => {
  const problems = checkPolicies(policies);
  if (problems.length > 0) throw new PolicyError(problems);
  return structuredClone(policies);
};
