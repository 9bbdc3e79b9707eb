import { checkPolicy, type Policy, type PolicyPath, parsePath } from "@tulle/policy";
import type { Findings } from "./finding.ts";
import type { SourceDocument } from "./source-document.ts";

/**
 * Refuses the document of a policy that could not hold: what its origin takes and a policy cannot say.
 *
 * @param placeOf the document's own way to a field of the policy.
 */
export const refuseUnsayable = (
  policy: Policy,
  document: SourceDocument,
  findings: Findings,
  placeOf: (path: PolicyPath) => PolicyPath,
): void => {
  for (const { path, message } of checkPolicy(policy)) {
    findings.add("refused", document, placeOf(path === "" ? [] : parsePath(path)), message);
  }
};
