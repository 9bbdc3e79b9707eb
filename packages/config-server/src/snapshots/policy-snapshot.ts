import {
  type AccessPolicy,
  type AuthenticationPolicy,
  type ExternalServicePolicies,
  externalNamesOf,
  externalServicesOf,
  type InboundPolicies,
  inboundFor,
  meshPolicyOf,
  namespaceOf,
  type Policy,
  rootNamespaceOf,
  type ServiceKey,
  type ServicePolicies,
  type ServicePolicy,
  serviceNamesOf,
  servicesOf,
  splitServiceKey,
} from "@tulle/policy";
import {
  formatResourceName,
  type PreparedResource,
  prepareResource,
  type ResourceName,
  type ResourceValue,
  type Revision,
  sliceEntries,
} from "@tulle/protocol";
import type { PolicyRevision } from "../store/policy-store.ts";

/** All resources of the policy stream at one revision, ready to be sent. Immutable. */
export interface PolicySnapshot {
  readonly revision: Revision;
  readonly mesh: PreparedResource;
  /** The indexes of all services, inside and outside the mesh, which every member gets. */
  readonly names: readonly PreparedResource[];
  readonly services: ReadonlyMap<ServiceKey, PreparedResource>;
  /** Services outside the mesh. */
  readonly external: ReadonlyMap<ServiceKey, PreparedResource>;
  readonly inbound: ReadonlyMap<ServiceKey, PreparedResource>;
  /** What the resources were made from, so that the next snapshot can keep those that did not change. */
  readonly sources: {
    readonly services: ReadonlyMap<ServiceKey, ServicePolicies>;
    readonly external: ReadonlyMap<ServiceKey, ExternalServicePolicies>;
    readonly inbound: ReadonlyMap<ServiceKey, InboundPolicies>;
  };
}

/**
 * Makes the resources of a revision. What says the same as in the previous snapshot stays the same object and is not
 * serialized again.
 *
 * @param trustDomain the authority's: members are told it even where no `Mesh` policy names it.
 * @throws ProtocolError `too-large` when a resource cannot be sent; {@link unsendableResources} finds that before an apply.
 */
export const buildPolicySnapshot = (
  revision: PolicyRevision,
  trustDomain: string,
  previous?: PolicySnapshot,
): PolicySnapshot => {
  const policies = [...revision.policies.values()];
  const services = servicesOf(policies, previous?.sources.services);
  const external = externalServicesOf(policies, previous?.sources.external);
  const inbound = inboundOf(policies, services, previous?.sources.inbound);
  const known = new Map(previous?.names.map((resource) => [resource.name, resource]));
  return {
    revision: revision.revision,
    mesh: keep(prepareResource("mesh", { trustDomain, ...meshPolicyOf(policies) }), previous?.mesh),
    names: [...nameSlices(policies)].map(([name, value]) => keep(prepareResource(name, value), known.get(name))),
    services: prepareEach(services, previous?.sources.services, previous?.services, serviceResource),
    external: prepareEach(external, previous?.sources.external, previous?.external, externalResource),
    inbound: prepareEach(inbound, previous?.sources.inbound, previous?.inbound, inboundResource),
    sources: { services, external, inbound },
  };
};

/** What a member is to hold of the policy stream: the mesh, all names, the services it calls, and its own inbound policy. */
export const policiesFor = (
  snapshot: PolicySnapshot,
  own: ServiceKey,
  subscriptions: Iterable<ServiceKey>,
): ReadonlyMap<ResourceName, PreparedResource> => {
  const wanted = new Map<ResourceName, PreparedResource>();
  const add = (resource: PreparedResource | undefined): void => {
    if (resource !== undefined) wanted.set(resource.name, resource);
  };
  add(snapshot.mesh);
  for (const slice of snapshot.names) add(slice);
  add(snapshot.inbound.get(own));
  // A service that does not exist is no error: it is sent when it comes to be.
  for (const service of subscriptions) add(snapshot.services.get(service) ?? snapshot.external.get(service));
  return wanted;
};

/** Names of the resources that would be too large to send, each with what is wrong: for the review of an apply. */
export const unsendableResources = (
  policies: readonly Policy[],
): readonly { readonly name: ResourceName; readonly message: string }[] => {
  const services = servicesOf(policies);
  const resources: (readonly [ResourceName, ResourceValue])[] = [
    ["mesh", meshPolicyOf(policies)],
    ...nameSlices(policies),
    ...[...services].map(([key, value]) => serviceResource(key, value)),
    ...[...externalServicesOf(policies)].map(([key, value]) => externalResource(key, value)),
    ...[...inboundOf(policies, services)].map(([key, value]) => inboundResource(key, value)),
  ];
  return resources.flatMap(([name, value]) => {
    try {
      prepareResource(name, value);
      return [];
    } catch (error) {
      return [{ name, message: error instanceof Error ? error.message : String(error) }];
    }
  });
};

const serviceResource = (
  key: ServiceKey,
  { policy, routes }: ServicePolicies,
): readonly [ResourceName, ResourceValue] => [
  formatResourceName({ kind: "service", service: key }),
  { key, policy, routes },
];

const externalResource = (
  key: ServiceKey,
  { policy, routes }: ExternalServicePolicies,
): readonly [ResourceName, ResourceValue] => [
  formatResourceName({ kind: "external", service: key }),
  { key, policy, routes },
];

const inboundResource = (key: ServiceKey, policies: InboundPolicies): readonly [ResourceName, ResourceValue] => [
  formatResourceName({ kind: "inbound", service: key }),
  policies,
];

const nameSlices = (policies: readonly Policy[]): readonly (readonly [ResourceName, ResourceValue])[] => [
  ...[...sliceEntries(serviceNamesOf(policies), ({ key }) => key)].map(
    ([leaf, names]) => [formatResourceName({ kind: "names", leaf }), { names }] as const,
  ),
  ...[...sliceEntries(externalNamesOf(policies), ({ key }) => key)].map(
    ([leaf, names]) => [formatResourceName({ kind: "external-names", leaf }), { names }] as const,
  ),
];

/** Selection stays within a namespace, so each service is held against the policies of its own and the root namespace only. */
const inboundOf = (
  policies: readonly Policy[],
  services: ReadonlyMap<ServiceKey, ServicePolicies>,
  previous?: ReadonlyMap<ServiceKey, InboundPolicies>,
): ReadonlyMap<ServiceKey, InboundPolicies> => {
  const rules = Map.groupBy(
    policies.filter((policy) => policy.kind === "Access" || policy.kind === "Authentication"),
    namespaceOf,
  );
  const mesh = meshPolicyOf(policies);
  const root = rootNamespaceOf(mesh);
  const inbound = new Map<ServiceKey, InboundPolicies>();
  for (const [key, { policy }] of services) {
    const homes = new Set([splitServiceKey(key).namespace, root]);
    const found = inboundFor([mesh, policy, ...[...homes].flatMap((home) => rules.get(home) ?? [])], key);
    const before = previous?.get(key);
    if (found !== undefined) inbound.set(key, before !== undefined && sameParts(before, found) ? before : found);
  }
  return inbound;
};

const sameParts = (a: InboundPolicies, b: InboundPolicies): boolean =>
  a.service === b.service && sameItems(a.access, b.access) && sameItems(a.authentication, b.authentication);

const sameItems = (
  a: readonly (AccessPolicy | AuthenticationPolicy | ServicePolicy)[],
  b: readonly (AccessPolicy | AuthenticationPolicy | ServicePolicy)[],
): boolean => a.length === b.length && a.every((item, at) => item === b[at]);

const prepareEach = <Source>(
  sources: ReadonlyMap<ServiceKey, Source>,
  oldSources: ReadonlyMap<ServiceKey, Source> | undefined,
  oldResources: ReadonlyMap<ServiceKey, PreparedResource> | undefined,
  resourceOf: (key: ServiceKey, source: Source) => readonly [ResourceName, ResourceValue],
): ReadonlyMap<ServiceKey, PreparedResource> => {
  const prepared = new Map<ServiceKey, PreparedResource>();
  for (const [key, source] of sources) {
    const before = oldResources?.get(key);
    const same = before !== undefined && oldSources?.get(key) === source;
    prepared.set(key, same ? before : keep(prepareResource(...resourceOf(key, source)), before));
  }
  return prepared;
};

const keep = (made: PreparedResource, before: PreparedResource | undefined): PreparedResource =>
  before?.version === made.version ? before : made;
