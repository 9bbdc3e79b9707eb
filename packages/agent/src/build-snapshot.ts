import { isDeepStrictEqual } from "node:util";
import {
  buildNameIndex,
  DEFAULT_MESH,
  type Endpoint,
  type ExternalNames,
  type InboundSnapshot,
  type MeshPolicy,
  type NameIndex,
  type OutboundSnapshot,
  type Revocations,
  type ServiceKey,
  type ServiceNames,
  type ServiceSnapshot,
  serviceOfExternal,
  splitServiceKey,
  type TrustBundle,
} from "@tulle/policy";
import {
  type BundleResource,
  type EndpointsSlice,
  type ExternalNamesSlice,
  type ExternalResource,
  formatResourceName,
  type InboundResource,
  type NamesSlice,
  parseResourceName,
  type ResourceName,
  type ResourceValue,
  type RevocationsSlice,
  type ServiceResource,
  type StreamState,
} from "@tulle/protocol";

/** What is told of outbound calls before anything is known: no service, and no names either. */
export const unknownOutbound: OutboundSnapshot = {
  revision: "",
  mesh: DEFAULT_MESH,
  names: buildNameIndex(undefined, ""),
  services: new Map(),
};

/** What a snapshot is made from. */
export interface SnapshotSources {
  readonly policy: StreamState;
  readonly endpoints: StreamState;
  /** Names of resources that are not as they were when `previous` was made. */
  readonly changed: ReadonlySet<ResourceName>;
  /** The member's own service. */
  readonly own: ServiceKey;
}

/**
 * Makes the next outbound snapshot. Whatever did not change is taken from the previous one, down to the single route and
 * endpoint, so that whoever compiles it can tell by `===` what to build anew.
 */
export const buildOutbound = (previous: OutboundSnapshot, sources: SnapshotSources): OutboundSnapshot => {
  const { policy } = sources;
  if (policy.revision === null) return previous;
  const services = servicesOf(previous, sources);
  const names = namesOf(previous.names, sources);
  const mesh = meshOf(previous.mesh, policy);
  const same =
    previous.revision === policy.revision &&
    previous.mesh === mesh &&
    previous.names === names &&
    services.size === previous.services.size &&
    [...services].every(([key, service]) => previous.services.get(key) === service);
  return same ? previous : { revision: policy.revision, mesh, names, services };
};

/** Makes the next inbound snapshot, or `undefined` while no inbound policy is known. */
export const buildInbound = (
  previous: InboundSnapshot | undefined,
  { policy, own }: Pick<SnapshotSources, "policy" | "own">,
): InboundSnapshot | undefined => {
  const inbound = valueOfKind<InboundResource>(policy, formatResourceName({ kind: "inbound", service: own }));
  if (policy.revision === null || inbound === undefined) return undefined;
  const next: InboundSnapshot = {
    revision: policy.revision,
    mesh: meshOf(previous?.mesh, policy),
    service: same(previous?.service, inbound.service),
    access: same(previous?.access, inbound.access),
    authentication: same(previous?.authentication, inbound.authentication),
  };
  return same(previous, next);
};

/** The bundles of all trust domains, in the order of their names; the previous value where it says the same. */
export const buildBundles = (previous: readonly TrustBundle[], trust: StreamState): readonly TrustBundle[] =>
  same<readonly TrustBundle[], readonly TrustBundle[]>(
    previous,
    [...trust.resources]
      .filter(([name]) => parseResourceName(name)?.kind === "bundle")
      .map(([, { value }]) => value as BundleResource) // Its name says the kind, and the commit checked the shape.
      .sort((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1)),
  );

/** What was revoked; the previous value where it says the same, `undefined` while nothing is. */
export const buildRevocations = (previous: Revocations | undefined, trust: StreamState): Revocations | undefined => {
  const revoked = [...trust.resources]
    .filter(([name]) => parseResourceName(name)?.kind === "revocations")
    // Its name says the kind, and the commit checked the shape.
    .flatMap(([, { value }]) => (value as RevocationsSlice).revoked);
  if (revoked.length === 0) return undefined;
  return same<Revocations, Revocations | undefined>(previous, {
    serials: new Set(revoked.flatMap(({ serial }) => serial ?? [])),
    spiffeIds: new Set(revoked.flatMap(({ spiffeId }) => spiffeId ?? [])),
  });
};

const meshOf = (previous: MeshPolicy | undefined, policy: StreamState): MeshPolicy =>
  same(previous, valueOfKind<MeshPolicy>(policy, "mesh") ?? DEFAULT_MESH);

const namesOf = (previous: NameIndex, { policy, changed, own }: SnapshotSources): NameIndex => {
  const isName = (name: ResourceName): boolean => name.startsWith("names/");
  const isExternalName = (name: ResourceName): boolean => name.startsWith("external-names/");
  if (previous.known && ![...changed].some((name) => isName(name) || isExternalName(name))) return previous;
  const names: ServiceNames[] = [];
  const external: ExternalNames[] = [];
  for (const [name, { value }] of policy.resources) {
    // Its name says the kind, and the commit checked the shape.
    if (isName(name)) names.push(...(value as NamesSlice).names);
    else if (isExternalName(name)) external.push(...(value as ExternalNamesSlice).names);
  }
  return buildNameIndex(names, splitServiceKey(own).namespace, external);
};

const servicesOf = (previous: OutboundSnapshot, sources: SnapshotSources): ReadonlyMap<ServiceKey, ServiceSnapshot> => {
  const touched = touchedServices(sources.changed);
  const endpoints = endpointsOf(touched, sources.endpoints);
  const services = new Map<ServiceKey, ServiceSnapshot>();
  for (const [name, { value }] of sources.policy.resources) {
    const reference = parseResourceName(name);
    if (reference?.kind !== "service" && reference?.kind !== "external") continue;
    const key = reference.service;
    const before = previous.services.get(key);
    services.set(
      key,
      before !== undefined && !touched.has(key)
        ? before
        : // Its name says the kind, and the commit checked the shape.
          serviceSnapshot(
            key,
            before,
            value as ServiceResource | ExternalResource,
            endpoints.get(key) ?? before?.endpoints ?? [],
          ),
    );
  }
  return services;
};

const serviceSnapshot = (
  key: ServiceKey,
  before: ServiceSnapshot | undefined,
  { policy: written, ...resource }: ServiceResource | ExternalResource,
  endpoints: readonly Endpoint[],
): ServiceSnapshot => {
  const policy = written.kind === "Service" ? written : serviceOfExternal(written);
  const next: ServiceSnapshot = {
    key,
    policy: same(before?.policy, policy),
    ...(written.kind === "Service" ? {} : { external: same(before?.external, written) }),
    routes: sameItems(before?.routes, resource.routes, ({ name, namespace }) => `${namespace}/${name}`),
    endpoints: sameItems(before?.endpoints, endpoints, ({ id }) => id),
  };
  return before?.policy === next.policy &&
    before.external === next.external &&
    before.routes === next.routes &&
    before.endpoints === next.endpoints
    ? before
    : next;
};

const touchedServices = (changed: ReadonlySet<ResourceName>): ReadonlySet<ServiceKey> => {
  const touched = new Set<ServiceKey>();
  for (const name of changed) {
    const reference = parseResourceName(name);
    if (reference !== undefined && "service" in reference && reference.kind !== "inbound")
      touched.add(reference.service);
  }
  return touched;
};

/** The endpoints of the services that were touched, ordered by id. */
const endpointsOf = (
  touched: ReadonlySet<ServiceKey>,
  stream: StreamState,
): ReadonlyMap<ServiceKey, readonly Endpoint[]> => {
  const found = new Map<ServiceKey, Endpoint[]>(Array.from(touched, (key) => [key, []]));
  for (const [name, { value }] of stream.resources) {
    const reference = parseResourceName(name);
    // Its name says the kind, and the commit checked the shape.
    if (reference?.kind === "endpoints") found.get(reference.service)?.push(...(value as EndpointsSlice).endpoints);
  }
  for (const endpoints of found.values()) endpoints.sort((a, b) => (a.id < b.id ? -1 : 1));
  return found;
};

const valueOfKind = <T extends ResourceValue>(stream: StreamState, name: ResourceName): T | undefined =>
  // The commit checked that the value has the shape that its name promises; the caller says which that is.
  stream.resources.get(name)?.value as T | undefined;

/** The previous value where the next one says the same. */
const same = <T, P extends T | undefined>(previous: P, next: T): T =>
  previous !== undefined && isDeepStrictEqual(previous, next) ? (previous as T) : next;

/** As {@link same}, for a list and for each of its items. */
const sameItems = <T>(
  previous: readonly T[] | undefined,
  next: readonly T[],
  idOf: (item: T) => string,
): readonly T[] => {
  if (previous === undefined) return next;
  const before = new Map(previous.map((item) => [idOf(item), item]));
  const items = next.map((item) => same(before.get(idOf(item)), item));
  return items.length === previous.length && items.every((item, index) => item === previous[index]) ? previous : items;
};
