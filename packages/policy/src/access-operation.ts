import type { AccessOperation } from "./access-policy.ts";
import type { AccessTest } from "./access-question.ts";
import { compileValues } from "./access-value.ts";

/** Hosts as callers wrote them, compared without case; the port counts where one is written (Istio). */
export const compileHosts = (hosts: readonly string[]): AccessTest => {
  const fits = compileValues(hosts, { ignoreCase: true, emptyIsThere: true });
  return ({ host }) => fits(host);
};

/** Ports that the process listens on. */
export const compilePorts = (ports: readonly number[]): AccessTest => {
  const known = new Set(ports);
  return ({ port }) => port !== undefined && known.has(port);
};

/** Methods. */
export const compileMethods = (methods: readonly string[]): AccessTest => {
  const fits = compileValues(methods);
  return ({ method }) => fits(method);
};

/** Every field of an operation, so that a field that this version does not know can be told. */
export const operationFields: ReadonlySet<string> = new Set([
  "hosts",
  "notHosts",
  "ports",
  "notPorts",
  "methods",
  "notMethods",
  "paths",
  "notPaths",
] satisfies (keyof AccessOperation)[]);
