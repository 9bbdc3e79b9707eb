import { isAccessTemplate } from "./access-path.ts";
import type { AccessPolicy } from "./access-policy.ts";
import type { Policy } from "./policy.ts";

/** Whether a policy uses what members of the first versions did not know of access policies. */
export const needsFullAccess = (policy: Policy): boolean => {
  if (policy.kind === "Mesh") {
    return [policy.pathNormalization, policy.trustedProxies, policy.authorizers].some((each) => each !== undefined);
  }
  return policy.kind === "Access" && usesMore(policy);
};

const usesMore = ({ action, mode, rules = [] }: AccessPolicy): boolean =>
  action === "audit" ||
  action === "custom" ||
  mode === "dry-run" ||
  rules.some(
    ({ from = [], to = [], when }) =>
      when !== undefined ||
      [...from, ...to].some((item) => Object.keys(item).some((field) => !fieldsOfTheFirst.has(field))) ||
      to.some(({ paths = [], notPaths = [] }) => [...paths, ...notPaths].some(isAccessTemplate)),
  );

const fieldsOfTheFirst: ReadonlySet<string> = new Set([
  "principals",
  "notPrincipals",
  "namespaces",
  "notNamespaces",
  "methods",
  "notMethods",
  "paths",
  "notPaths",
]);
