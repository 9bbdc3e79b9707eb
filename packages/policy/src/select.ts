import type { AccessPolicy } from "./access-policy.ts";
import type { AuthenticationPolicy } from "./authentication-policy.ts";
import { type ExternalServicePolicy, externalPortOf, isPlaintext, passesUntouched } from "./external-service-policy.ts";
import { type MeshPolicy, rootNamespaceOf } from "./mesh-policy.ts";
import type { ExternalNames, ServiceNames } from "./name-index.ts";
import type { Policy } from "./policy.ts";
import { namespaceOf, type PolicyMeta } from "./policy-meta.ts";
import type { RoutePolicy } from "./route-policy.ts";
import { mayConcern, type Selecting } from "./selector.ts";
import { referencedService, type ServiceKey, serviceKey } from "./service-name.ts";
import type { ServicePolicy } from "./service-policy.ts";

/** A service and the routes for it, in the order in which they are tried: by namespace, then by name. */
export interface ServicePolicies {
  readonly policy: ServicePolicy;
  readonly routes: readonly RoutePolicy[];
}

/** A service outside the mesh and the routes for it, in the order in which they are tried. */
export interface ExternalServicePolicies {
  readonly policy: ExternalServicePolicy;
  readonly routes: readonly RoutePolicy[];
}

/** What a service needs to admit calls. Which of its instances a policy is for, each one finds by its own labels. */
export interface InboundPolicies {
  readonly service: ServicePolicy;
  /** By namespace and name. */
  readonly access: readonly AccessPolicy[];
  /** By namespace and name. */
  readonly authentication: readonly AuthenticationPolicy[];
}

/** What holds where no `Mesh` policy was applied: the documented default of every field. */
export const DEFAULT_MESH: MeshPolicy = Object.freeze({ kind: "Mesh", name: "mesh" });

/** The `Mesh` policy, or {@link DEFAULT_MESH}. */
export const meshPolicyOf = (policies: readonly Policy[]): MeshPolicy =>
  policies.find((policy) => policy.kind === "Mesh") ?? DEFAULT_MESH;

/**
 * All services with their routes, sorted by key. A route to a service that does not exist is left out;
 * `checkPolicies` is what refuses it.
 *
 * @param previous an earlier answer: entries whose policy and routes are the same objects keep their identity.
 */
export const servicesOf = (
  policies: readonly Policy[],
  previous?: ReadonlyMap<ServiceKey, ServicePolicies>,
): ReadonlyMap<ServiceKey, ServicePolicies> => {
  return withRoutes(
    policies.filter((policy) => policy.kind === "Service"),
    policies,
    previous,
  );
};

/** As {@link servicesOf}, for services outside the mesh, but those whose calls are handed on untouched. */
export const externalServicesOf = (
  policies: readonly Policy[],
  previous?: ReadonlyMap<ServiceKey, ExternalServicePolicies>,
): ReadonlyMap<ServiceKey, ExternalServicePolicies> =>
  withRoutes(
    policies.filter((policy) => policy.kind === "ExternalService").filter((policy) => !passesUntouched(policy)),
    policies,
    previous,
  );

const withRoutes = <P extends PolicyMeta>(
  called: readonly P[],
  policies: readonly Policy[],
  previous: ReadonlyMap<ServiceKey, { readonly policy: P; readonly routes: readonly RoutePolicy[] }> | undefined,
): ReadonlyMap<ServiceKey, { readonly policy: P; readonly routes: readonly RoutePolicy[] }> => {
  const routesByService = new Map<ServiceKey, RoutePolicy[]>();
  for (const route of inOrder(policies.filter((policy) => policy.kind === "Route"))) {
    for (const key of new Set(route.services.map((name) => referencedService(name, namespaceOf(route))))) {
      const routes = routesByService.get(key);
      if (routes === undefined) routesByService.set(key, [route]);
      else routes.push(route);
    }
  }
  const services = new Map<ServiceKey, { readonly policy: P; readonly routes: readonly RoutePolicy[] }>();
  for (const policy of inOrder(called)) {
    const key = keyOf(policy);
    const routes = routesByService.get(key) ?? [];
    const before = previous?.get(key);
    const unchanged = before !== undefined && before.policy === policy && sameItems(before.routes, routes);
    services.set(key, unchanged ? before : { policy, routes });
  }
  return services;
};

/**
 * The policies that decide who may call some instance of a service, or `undefined` when there is no such service. Those
 * of the root namespace hold everywhere.
 */
export const inboundFor = (policies: readonly Policy[], key: ServiceKey): InboundPolicies | undefined => {
  const root = rootNamespaceOf(meshPolicyOf(policies));
  const concerns = (policy: Selecting): boolean => mayConcern(policy, key, root);
  const service = policies.find((policy) => policy.kind === "Service" && keyOf(policy) === key);
  if (service?.kind !== "Service") return undefined;
  return {
    service,
    access: inOrder(policies.filter((policy) => policy.kind === "Access").filter(concerns)),
    authentication: inOrder(policies.filter((policy) => policy.kind === "Authentication").filter(concerns)),
  };
};

/** The names of all services, sorted by key: what every member knows. */
export const serviceNamesOf = (policies: readonly Policy[]): readonly ServiceNames[] =>
  inOrder(policies.filter((policy) => policy.kind === "Service")).map((policy) => ({
    key: keyOf(policy),
    ...(policy.hosts === undefined ? {} : { hosts: policy.hosts }),
  }));

/** The names of all services outside the mesh, sorted by key: what every member knows. */
export const externalNamesOf = (policies: readonly Policy[]): readonly ExternalNames[] => {
  const external = inOrder(policies.filter((policy) => policy.kind === "ExternalService"));
  const owners = new Map<string, number>();
  for (const host of external.filter((policy) => !passesUntouched(policy)).flatMap(({ hosts }) => hosts)) {
    owners.set(host.toLowerCase(), (owners.get(host.toLowerCase()) ?? 0) + 1);
  }
  return external.map((policy): ExternalNames => {
    const { hosts } = policy;
    if (passesUntouched(policy)) return { key: keyOf(policy), hosts, passes: true };
    // Said only where it matters, for a member of an earlier version does not know of it.
    const isShared = hosts.some((host) => (owners.get(host.toLowerCase()) ?? 0) > 1);
    return {
      key: keyOf(policy),
      hosts,
      ...(isShared ? { port: externalPortOf(policy) } : {}),
      ...(isShared && !isPlaintext(policy) ? { tls: true } : {}),
    };
  });
};

const keyOf = (policy: PolicyMeta): ServiceKey => serviceKey(namespaceOf(policy), policy.name);

/** By code units and not by locale, so that every process orders alike. */
const inOrder = <P extends PolicyMeta>(policies: readonly P[]): readonly P[] =>
  policies.toSorted((a, b) => compare(namespaceOf(a), namespaceOf(b)) || compare(a.name, b.name));

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const sameItems = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((item, at) => item === b[at]);
