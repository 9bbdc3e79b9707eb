import { MAX_ENDPOINT_WEIGHT, MeshError } from "@tulle/policy";
import { checkLocality } from "./check-locality.ts";
import type { FixedConfiguration, FixedEndpoint } from "./fixed-snapshot.ts";

/**
 * Checks the form of what types promise: a mesh of values is made by tests and scripts, and those are often JavaScript. What
 * the policies say is checked with all others.
 *
 * @throws MeshError INVALID_CALL with the place of the first value that is of another form.
 */
export const checkFixedConfiguration = (configuration: FixedConfiguration): void => {
  const { policies, endpoints } = objectAt("the options of a mesh", configuration);
  for (const [at, policy] of arrayAt("policies", policies).entries()) {
    const { kind, name } = objectAt(`policies[${at}]`, policy);
    if (typeof kind !== "string") throw wrong(`policies[${at}].kind`, kind, "name the kind of policy, such as Route");
    if (typeof name !== "string") throw wrong(`policies[${at}].name`, name, "give the policy a name");
  }
  for (const [service, instances] of Object.entries(objectAt("endpoints", endpoints))) {
    for (const [at, instance] of arrayAt(`endpoints.${service}`, instances).entries()) {
      if (typeof instance !== "string") checkEndpoint(`endpoints.${service}[${at}]`, instance);
    }
  }
};

const transports: ReadonlySet<unknown> = new Set<FixedEndpoint["transport"]>([undefined, "mtls", "plaintext", "tls"]);

const checkEndpoint = (place: string, endpoint: unknown): void => {
  const { address, port, transport, locality, weight } = objectAt(place, endpoint);
  if (typeof address !== "string" || address === "") throw wrong(`${place}.address`, address, "write a host or an IP");
  if (!(Number.isInteger(port) && Number(port) >= 1 && Number(port) <= 65_535)) {
    throw wrong(`${place}.port`, port, "write a whole number from 1 to 65535");
  }
  if (
    weight !== undefined &&
    !(Number.isInteger(weight) && Number(weight) >= 1 && Number(weight) <= MAX_ENDPOINT_WEIGHT)
  ) {
    throw wrong(`${place}.weight`, weight, `write a whole number from 1 to ${MAX_ENDPOINT_WEIGHT}`);
  }
  checkLocality(`${place}.locality`, locality);
  if (!transports.has(transport)) throw wrong(`${place}.transport`, transport, "write mtls, plaintext or tls");
};

const objectAt = (place: string, value: unknown): Readonly<Record<string, unknown>> => {
  // An object's fields may be anything; each one that is used is checked.
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw wrong(place, value, "write an object");
};

const arrayAt = (place: string, value: unknown): readonly unknown[] => {
  if (Array.isArray(value)) return value;
  throw wrong(place, value, "write an array, which may be empty");
};

const wrong = (place: string, value: unknown, hint: string): MeshError =>
  new MeshError("INVALID_CALL", { message: `${place} is ${describe(value)}`, hint });

const describe = (value: unknown): string =>
  value === undefined ? "missing" : (JSON.stringify(value) ?? typeof value);
