import type {
  AccessPolicy,
  AuthenticationPolicy,
  Endpoint,
  ExternalNames,
  ExternalServicePolicy,
  MeshPolicy,
  Policy,
  RoutePolicy,
  ServiceKey,
  ServiceNames,
  ServicePolicy,
} from "@tulle/policy";
import type {
  BundleResource,
  EndpointsSlice,
  ExternalNamesSlice,
  ExternalResource,
  InboundResource,
  NamesSlice,
  ResourceName,
  ResourceValue,
  RevocationsSlice,
  ServiceResource,
} from "./resource.ts";
import { parseResourceName, type ResourceReference } from "./resource-name.ts";
import { anyObject, integer, list, object, oneOf, optional, record, refuse, type Shape, text } from "./shape.ts";

const MAX_ITEMS = 10_000;
const name: Shape<string> = text(1, 253);
const service = text(3, 127) as Shape<ServiceKey>;

const isTrue: Shape<true> = (value, path) => (value === true ? value : refuse(path, "true", value));

/** A policy of one kind. Its fields are kept whole: whoever enforces it must see what it does not understand, and refuse it. */
const policy =
  <P extends Policy>(kind: P["kind"]): Shape<P> =>
  (value, path) => {
    const found = anyObject<P>(value, path);
    if (found.kind !== kind) return refuse(`${path}.kind`, kind, found.kind);
    name(found.name, `${path}.name`);
    return found;
  };

const endpoint: Shape<Endpoint> = object<Endpoint>({
  id: name,
  address: name,
  port: integer(1, 65_535),
  transport: oneOf(["mtls", "plaintext", "tls"]),
  labels: record(name, text(0, 253), 64),
  health: oneOf(["healthy", "draining", "unhealthy", "stale"]),
  serviceAccount: name,
  servername: optional(name),
  weight: optional(integer(1, 1_000)),
  locality: optional(anyObject<NonNullable<Endpoint["locality"]>>),
});

const shapes: { readonly [K in ResourceReference["kind"]]: Shape<ResourceValue> } = {
  mesh: policy<MeshPolicy>("Mesh"),
  names: object<NamesSlice>({
    names: list(object<ServiceNames>({ key: service, hosts: optional(list(name, MAX_ITEMS)) }), MAX_ITEMS),
  }),
  "external-names": object<ExternalNamesSlice>({
    names: list(
      object<ExternalNames>({
        key: service,
        hosts: list(name, MAX_ITEMS),
        passes: optional(isTrue),
        port: optional(integer(1, 65_535)),
        tls: optional(isTrue),
      }),
      MAX_ITEMS,
    ),
  }),
  external: object<ExternalResource>({
    key: service,
    policy: policy<ExternalServicePolicy>("ExternalService"),
    routes: list(policy<RoutePolicy>("Route"), MAX_ITEMS),
  }),
  service: object<ServiceResource>({
    key: service,
    policy: policy<ServicePolicy>("Service"),
    routes: list(policy<RoutePolicy>("Route"), MAX_ITEMS),
  }),
  inbound: object<InboundResource>({
    service: policy<ServicePolicy>("Service"),
    access: list(policy<AccessPolicy>("Access"), MAX_ITEMS),
    authentication: list(policy<AuthenticationPolicy>("Authentication"), MAX_ITEMS),
  }),
  endpoints: object<EndpointsSlice>({ endpoints: list(endpoint, MAX_ITEMS) }),
  bundle: object<BundleResource>({
    trustDomain: name,
    roots: list(text(1, 65_536), 100),
    intermediates: optional(list(text(1, 65_536), 100)),
  }),
  revocations: object<RevocationsSlice>({
    revoked: list(
      object<RevocationsSlice["revoked"][number]>({
        serial: optional(text(1, 128)),
        spiffeId: optional(text(1, 2_048)),
      }),
      MAX_ITEMS,
    ),
  }),
};

/**
 * Checks that a resource's value has the shape that its name promises. What policies say is not judged here. A resource of
 * a kind that this version does not know is taken as it is.
 *
 * @throws ProtocolError `bad-message` with the way to the wrong field.
 */
export const decodeResource = (resource: ResourceName, value: unknown): ResourceValue => {
  const reference = parseResourceName(resource);
  return reference === undefined ? anyObject<ResourceValue>(value, resource) : shapes[reference.kind](value, resource);
};
