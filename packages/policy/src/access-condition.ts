import { compilePorts } from "./access-operation.ts";
import type { AccessCondition } from "./access-policy.ts";
import type { AccessTest } from "./access-question.ts";
import {
  compileAddresses,
  compileNamespaces,
  compilePrincipals,
  compileRequestPrincipals,
  compileServiceAccounts,
  type SourceReading,
} from "./access-source.ts";
import { compileValues, type ValueTest } from "./access-value.ts";
import { numberLimits, wrongNumber } from "./field-limits.ts";
import { wrongIpRange } from "./ip-range.ts";

/** Attributes that a condition names without brackets. */
const plainKeys = [
  "source.ip",
  "remote.ip",
  "source.namespace",
  "source.principal",
  "source.serviceAccount",
  "request.auth.principal",
  "request.auth.audiences",
  "request.auth.presenter",
  "destination.ip",
  "destination.port",
  "connection.sni",
] as const;

type PlainKey = (typeof plainKeys)[number];

/** An attribute, read. */
type ConditionKey =
  | { readonly kind: "plain"; readonly key: PlainKey }
  /** In lower case. */
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "claim"; readonly path: readonly string[] };

const header = /^request\.headers\[(:?[A-Za-z0-9!#$%&'*+.^_`|~-]+)\]$/;
const claims = /^request\.auth\.claims((?:\[[^[\]]+\])+)$/;

/** Reads the key of a condition; `undefined`: there is no such attribute. */
export const parseConditionKey = (key: string): ConditionKey | undefined => {
  const plain = plainKeys.find((each) => each === key);
  if (plain !== undefined) return { kind: "plain", key: plain };
  const name = header.exec(key)?.[1];
  if (name !== undefined) return { kind: "header", name: name.toLowerCase() };
  const path = claims.exec(key)?.[1];
  return path === undefined ? undefined : { kind: "claim", path: path.slice(1, -1).split("][") };
};

/** What is wrong with the key of a condition, if anything. */
export const wrongConditionKey = (key: string): string | undefined =>
  parseConditionKey(key) === undefined
    ? `"${key}" is no attribute: write request.headers[name], request.auth.claims[name], or one of ${plainKeys.join(", ")}`
    : undefined;

/** What is wrong with a value of a condition, if anything. */
export const wrongConditionValue = (key: string, value: string): string | undefined => {
  if (value === "") return "an empty value fits nothing";
  if (key === "source.ip" || key === "remote.ip" || key === "destination.ip") return wrongIpRange(value);
  if (key === "destination.port") {
    const port = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
    return wrongNumber(port, numberLimits.accessPort) === undefined ? undefined : `"${value}" is not a port`;
  }
  return undefined;
};

/**
 * Compiles a list of a condition's values.
 *
 * @param wide whether what is in doubt counts as fitting.
 * @throws RangeError for a key or value that means nothing.
 */
export const compileConditionValues = (
  key: string,
  values: readonly string[],
  reading: SourceReading,
  wide: boolean,
): AccessTest => {
  const read = parseConditionKey(key);
  const wrong = values.map((value) => wrongConditionValue(key, value)).find((each) => each !== undefined);
  if (read === undefined || wrong !== undefined) throw new RangeError(wrong ?? `"${key}" is no attribute`);
  if (read.kind === "header") return headerTest(read.name, compileValues(values, { emptyIsThere: true }));
  if (read.kind === "claim") {
    const fits = compileValues(values);
    return ({ token }) => token !== undefined && claimFits(token.claims, read.path, fits);
  }
  return compilePlain(read.key, values, reading, wide);
};

const compilePlain = (key: PlainKey, values: readonly string[], reading: SourceReading, wide: boolean): AccessTest => {
  const fits = compileValues(values);
  switch (key) {
    case "source.ip":
      return compileAddresses(values, "address");
    case "remote.ip":
      return compileAddresses(values, "remoteAddress");
    case "destination.ip":
      return compileAddresses(values, "destinationAddress");
    case "destination.port":
      return compilePorts(values.map(Number));
    case "source.namespace":
      return compileNamespaces(values, wide);
    case "source.principal":
      return compilePrincipals(values, reading);
    case "source.serviceAccount":
      return compileServiceAccounts(values, reading, wide);
    case "request.auth.principal":
      return compileRequestPrincipals(values);
    case "request.auth.audiences":
      return ({ token }) => token !== undefined && anyFits(token.audiences, fits);
    case "request.auth.presenter":
      return ({ token }) => token !== undefined && (fits(token.presenter) || claimFits(token.claims, ["azp"], fits));
    case "connection.sni":
      return ({ sni }) => fits(sni);
  }
};

const headerTest =
  (name: string, fits: ValueTest): AccessTest =>
  ({ header: ask }) =>
    fits(ask?.(name));

const anyFits = (values: readonly unknown[], fits: ValueTest): boolean => {
  for (const value of values) if (typeof value === "string" && fits(value)) return true;
  return false;
};

/** A claim by its path, a text or a list of texts; nothing else fits anything (Istio). */
const claimFits = (all: Readonly<Record<string, unknown>>, path: readonly string[], fits: ValueTest): boolean => {
  let found: unknown = all;
  for (const name of path) {
    if (typeof found !== "object" || found === null || Array.isArray(found) || !Object.hasOwn(found, name))
      return false;
    // An object that was just seen to have the name.
    found = (found as Readonly<Record<string, unknown>>)[name];
  }
  if (typeof found === "string") return fits(found);
  return Array.isArray(found) && anyFits(found, fits);
};

/** Every field of a condition, so that a field that this version does not know can be told. */
export const conditionFields: ReadonlySet<string> = new Set([
  "key",
  "values",
  "notValues",
] satisfies (keyof AccessCondition)[]);
