import type { AccessOperation } from "./access-policy.ts";
import type { AccessTest } from "./access-question.ts";
import { compileValues } from "./access-value.ts";
import { compileFrameworkRoutes } from "./framework-route.ts";

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

/**
 * Route templates. @param wide whether what is in doubt counts: a call whose route nobody knows yet, read against its caller, and
 *   a route with fixed text where the template has a parameter
 */
export const compileRouteTemplates = (templates: readonly string[], wide: boolean): AccessTest => {
  const fits = compileFrameworkRoutes(templates, wide);
  return ({ route, routeMount, routeDoubt }) =>
    routeDoubt === undefined ? route !== undefined && fits(route, routeMount) : wide === (routeDoubt === "against");
};

/** Whether an operation can be decided only when the framework has found its route. */
export const namesRoutes = ({ routes, notRoutes }: AccessOperation): boolean => (routes ?? notRoutes) !== undefined;

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
  "routes",
  "notRoutes",
] satisfies (keyof AccessOperation)[]);
