import { wrongConditionKey, wrongConditionValue } from "./access-condition.ts";
import { isAccessTemplate, wrongAccessTemplate } from "./access-path.ts";
import type { AccessCondition, AccessOperation, AccessPolicy, AccessRule, AccessSource } from "./access-policy.ts";
import {
  numberLimits,
  wrongAccessMethod,
  wrongName,
  wrongPath,
  wrongPrincipal,
  wrongWildcard,
} from "./field-limits.ts";
import { whyNoFrameworkRoute } from "./framework-route.ts";
import { wrongIpRange } from "./ip-range.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import { checkSelector } from "./selector.ts";

/** Reports what makes no sense in an access policy. As strict as Istio, and stricter where Istio takes what never fits. */
export const checkAccess = (access: AccessPolicy, check: Check): void => {
  const { action, authorizer, rules = [] } = access;
  checkSelector(access.selector, check);
  if (action === "deny" && rules.length === 0) {
    check.report(["rules"], "a deny without rules denies nothing: write an empty rule ({}) to deny everything");
  }
  if (action === "custom" && rules.length === 0) {
    check.report(["rules"], "custom without rules asks nobody: write an empty rule ({}) to ask about every call");
  }
  if (action === "custom" && authorizer === undefined) {
    check.report(["authorizer"], "name who is asked: one of the Mesh policy's authorizers");
  }
  if (action !== "custom" && authorizer !== undefined) {
    check.report(
      ["authorizer"],
      `nobody is asked by ${action ?? "allow"}: leave the field out, or set action to custom`,
    );
  }
  check.text(["authorizer"], authorizer, wrongName);
  for (const [at, rule] of rules.entries()) checkRule(["rules", at], rule, check);
};

const checkRule = (path: PolicyPath, rule: AccessRule, check: Check): void => {
  check.list([...path, "from"], rule.from, (at, source) => checkSource(at, source, check));
  check.list([...path, "to"], rule.to, (at, operation) => checkOperation(at, operation, check));
  check.list([...path, "when"], rule.when, (at, condition) => checkCondition(at, condition, check));
};

/** What may stand in a field, and in its negation. */
type Wrong = (text: string) => string | undefined;

const checkBoth = <T extends object>(
  path: PolicyPath,
  value: T,
  field: keyof T & string,
  wrong: Wrong,
  check: Check,
): void => {
  for (const name of [field, `not${field.charAt(0).toUpperCase()}${field.slice(1)}`]) {
    // The fields that are asked for hold lists of texts.
    const texts = (value as Readonly<Record<string, readonly string[] | undefined>>)[name];
    check.texts([...path, name], texts, wrong);
  }
};

const checkSource = (path: PolicyPath, source: AccessSource, check: Check): void => {
  refuseEmpty(path, source, "caller", check);
  checkBoth(path, source, "principals", wrongPrincipal, check);
  checkBoth(path, source, "requestPrincipals", wrongWildcard, check);
  checkBoth(path, source, "namespaces", wrongWildcard, check);
  checkBoth(path, source, "serviceAccounts", wrongAccountReference, check);
  checkBoth(path, source, "trustDomains", wrongWildcard, check);
  checkBoth(path, source, "addresses", wrongIpRange, check);
  checkBoth(path, source, "remoteAddresses", wrongIpRange, check);
  const accounts = source.serviceAccounts ?? source.notServiceAccounts;
  const others = [source.principals, source.notPrincipals, source.namespaces, source.notNamespaces];
  if (accounts !== undefined && others.some((each) => each !== undefined)) {
    check.report(
      path,
      "serviceAccounts cannot stand beside principals or namespaces: write two sources, or the principal",
    );
  }
};

const checkOperation = (path: PolicyPath, operation: AccessOperation, check: Check): void => {
  refuseEmpty(path, operation, "call", check);
  checkBoth(path, operation, "hosts", wrongAccessHost, check);
  checkBoth(path, operation, "methods", wrongAccessMethod, check);
  checkBoth(path, operation, "paths", wrongAccessPath, check);
  checkBoth(path, operation, "routes", whyNoFrameworkRoute, check);
  for (const field of ["ports", "notPorts"] as const) {
    check.list([...path, field], operation[field], (at, port) => check.number(at, port, numberLimits.accessPort));
  }
};

const checkCondition = (path: PolicyPath, { key, values, notValues }: AccessCondition, check: Check): void => {
  check.text([...path, "key"], key, wrongConditionKey);
  if (values === undefined && notValues === undefined) {
    check.report(path, "nothing is asked of the attribute: set values, notValues or both");
  }
  for (const [field, list] of [
    ["values", values],
    ["notValues", notValues],
  ] as const) {
    check.texts([...path, field], list, (value) => wrongConditionValue(key, value));
  }
};

const refuseEmpty = (path: PolicyPath, value: object, what: string, check: Check): void => {
  if (Object.keys(value).length > 0) return;
  check.report(path, `an empty item would mean any ${what}: leave out "${path.at(-2)}" if that is meant`);
};

/** What is wrong with a path of an access rule, if anything. */
export const wrongAccessPath = (text: string): string | undefined => {
  if (isAccessTemplate(text)) return wrongAccessTemplate(text);
  if (/[{}]/.test(text)) {
    return `"${text}" has a brace that belongs to no operator: write {*} for a segment, {**} for any number of them`;
  }
  const star = wrongWildcard(text);
  if (star !== undefined) return star;
  return text.startsWith("*") ? undefined : wrongPath(text);
};

/** What is wrong with a host of an access rule, if anything. */
export const wrongAccessHost = (text: string): string | undefined => {
  const star = wrongWildcard(text);
  if (star !== undefined) return star;
  return /[\s/@?#]/.test(text) ? `"${text}" is not a host: leave out scheme, path and user` : undefined;
};

/** What is wrong with a service account of an access rule, if anything. */
export const wrongAccountReference = (text: string): string | undefined => {
  if (text === "") return "an empty value fits nothing";
  if (text.includes("*")) return `"${text}" has a star: service accounts are written in full`;
  return /^(?:[^/\s]+\/)?[^/\s]+$/.test(text)
    ? undefined
    : `"${text}" is not a service account: write "account" or "namespace/account"`;
};
