import type { PolicyKind } from "./policy.ts";
import type { PolicyPath } from "./policy-path.ts";

/**
 * What is typed and documented, but has no behaviour yet. A policy that uses it is refused, never silently ignored.
 * `a[].b` means the field in each item of a list, `a=b` one value of a field. Whoever builds one of these takes its line
 * out of this list and `Not supported yet` out of its documentation.
 */
const ofOwn: Readonly<Record<Exclude<PolicyKind, "ExternalService">, readonly string[]>> = {
  Mesh: ["mode=dry-run", "sampling", "accessLog"],
  Service: ["mode=dry-run", "concurrencyLimit"],
  Route: ["mode=dry-run"],
  Access: [],
  Authentication: ["mode=dry-run"],
};

/** Fields that services outside the mesh share with those inside. */
const shared =
  /^(?:mode|balancer|connectionPool|circuitBreaker|retryBudget|outlierDetection|slowStart|panicThreshold|hashKey|adaptiveThrottling)\b/;

/** What is not supported yet, of every kind. */
export const notSupported: Readonly<Record<PolicyKind, readonly string[]>> = {
  ...ofOwn,
  ExternalService: ofOwn.Service.filter((line) => shared.test(line)),
};

/** A use of something that is not supported yet. */
export interface NotSupportedUse {
  readonly path: PolicyPath;
  readonly message: string;
}

/** Finds all uses in a policy, also in one that is malformed elsewhere. */
export const notSupportedIn = (kind: PolicyKind, policy: unknown): readonly NotSupportedUse[] =>
  notSupported[kind].flatMap((line) => {
    const [way = "", refused] = line.split("=");
    return follow(policy, way.split("."), []).flatMap(({ path, value }) => {
      const field = path.findLast((step) => typeof step === "string") ?? way;
      if (refused === undefined) return [{ path, message: `"${field}" is not supported yet` }];
      return value === refused ? [{ path, message: `${field} "${refused}" is not supported yet` }] : [];
    });
  });

/** Whether a value that a field may be typed to hold has behaviour, so that it may be offered to people. */
export const isSupportedValue = (kind: PolicyKind, path: PolicyPath, value: string): boolean => {
  const way = path.map((step, at) => (typeof step === "number" ? "[]" : at === 0 ? step : `.${step}`)).join("");
  return !notSupported[kind].includes(`${way}=${value}`);
};

interface Reached {
  readonly path: PolicyPath;
  readonly value: unknown;
}

const follow = (value: unknown, way: readonly string[], path: PolicyPath): readonly Reached[] => {
  const [first, ...rest] = way;
  if (first === undefined) return value === undefined ? [] : [{ path, value }];
  if (typeof value !== "object" || value === null) return [];
  const name = first.endsWith("[]") ? first.slice(0, -2) : first;
  // An object of unknown shape is read by name; what is not there is undefined.
  const field = (value as Readonly<Record<string, unknown>>)[name];
  if (name === first) return follow(field, rest, [...path, name]);
  return Array.isArray(field) ? field.flatMap((item, at) => follow(item, rest, [...path, name, at])) : [];
};
