import {
  buildNameIndex,
  checkPolicies,
  type Endpoint,
  type EndpointLocality,
  externalNamesOf,
  externalServicesOf,
  type InboundPolicies,
  type InboundSnapshot,
  inboundFor,
  MeshError,
  meshPolicyOf,
  namespaceOf,
  type OutboundSnapshot,
  type Policy,
  PolicyError,
  referencedService,
  type ServiceKey,
  type ServicePolicy,
  type ServiceSnapshot,
  serviceKey,
  serviceNamesOf,
  serviceOfExternal,
  servicesOf,
  splitServiceKey,
  type Transport,
} from "@tulle/policy";
import { checkFixedConfiguration } from "./check-fixed-configuration.ts";

/** One instance as a fixed mesh is told of it; a string is `host:port`. */
export interface FixedEndpoint {
  readonly address: string;
  readonly port: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Where it is; policies may prefer some localities to others. @default not known */
  readonly locality?: EndpointLocality;
  /** Its share of the calls beside the others', where the balancer heeds weights. A whole number from 1 to 1000. @default 1 */
  readonly weight?: number;
  /** @default "mtls" where the mesh has credentials, else "plaintext" */
  readonly transport?: Transport;
  /** @default `address:port` */
  readonly id?: string;
  /** @default the first that the service names */
  readonly serviceAccount?: string;
}

/** Everything that a config-server would push, as values. */
export interface FixedConfiguration {
  /** A service that `endpoints` names and no policy defines gets a `Service` policy with all defaults. */
  readonly policies: readonly Policy[];
  /** Instances by service: `reviews`, `reviews.ns` or the long name. */
  readonly endpoints: Readonly<Record<string, readonly (string | FixedEndpoint)[]>>;
}

/** How the values are to be read. */
export interface FixedReader {
  readonly namespace: string;
  readonly service: string;
  readonly defaultTransport: Transport;
  /** Of the credentials; holds where the `Mesh` policy names none. */
  readonly trustDomain?: string | undefined;
  /** Counts up with each new set of values, from 1. */
  readonly number: number;
}

/** Both sides' snapshots of one set of values. */
export interface FixedSnapshots {
  readonly outbound: OutboundSnapshot;
  readonly inbound: InboundSnapshot;
}

/**
 * Turns values into what a config-server would have sent.
 *
 * @throws PolicyError with every problem found.
 * @throws MeshError INVALID_CALL when a value is of another form, or an endpoint is not `host:port`.
 */
export const fixedSnapshots = (configuration: FixedConfiguration, reader: FixedReader): FixedSnapshots => {
  checkFixedConfiguration(configuration);
  const policies = withImpliedServices(configuration, reader);
  const problems = checkPolicies(policies);
  if (problems.length > 0) throw new PolicyError(problems);

  const endpoints = new Map<ServiceKey, readonly Endpoint[]>();
  for (const [reference, instances] of Object.entries(configuration.endpoints)) {
    const key = referencedService(reference, reader.namespace);
    const accounts = policies.find((policy) => isService(policy, key));
    const account = (accounts as ServicePolicy | undefined)?.serviceAccounts?.[0] ?? splitServiceKey(key).name;
    endpoints.set(
      key,
      instances.map((instance) => toEndpoint(instance, reference, account, reader.defaultTransport)),
    );
  }

  const revision = `static.${reader.number}`;
  const mesh = {
    ...(reader.trustDomain === undefined ? {} : { trustDomain: reader.trustDomain }),
    ...meshPolicyOf(policies),
  };
  const services = new Map<ServiceKey, ServiceSnapshot>();
  for (const [key, { policy, routes }] of servicesOf(policies)) {
    services.set(key, { key, policy, routes, endpoints: endpoints.get(key) ?? [] });
  }
  for (const [key, { policy, routes }] of externalServicesOf(policies)) {
    services.set(key, { key, policy: serviceOfExternal(policy), external: policy, routes, endpoints: [] });
  }
  const names = buildNameIndex(serviceNamesOf(policies), reader.namespace, externalNamesOf(policies));
  return {
    outbound: { revision, mesh, names, services },
    inbound: { revision, mesh, ...ownPolicies(policies, reader) },
  };
};

/** A process whose service no policy defines still has a name, and the policies of its namespace hold for it. */
const ownPolicies = (policies: readonly Policy[], { namespace, service }: FixedReader): InboundPolicies => {
  const unnamed: ServicePolicy = { kind: "Service", name: service, namespace };
  const own = serviceKey(namespace, service);
  return (
    inboundFor(policies, own) ??
    inboundFor([...policies, unnamed], own) ?? { service: unnamed, access: [], authentication: [] }
  );
};

const isService = (policy: Policy, key: ServiceKey): policy is ServicePolicy =>
  policy.kind === "Service" && serviceKey(namespaceOf(policy), policy.name) === key;

const withImpliedServices = (configuration: FixedConfiguration, reader: FixedReader): readonly Policy[] => {
  const implied = Object.keys(configuration.endpoints)
    .map((reference) => referencedService(reference, reader.namespace))
    .filter((key) => !configuration.policies.some((policy) => isService(policy, key)))
    .map((key): ServicePolicy => ({ kind: "Service", ...splitServiceKey(key) }));
  return [...configuration.policies, ...implied];
};

const HOST_AND_PORT = /^(?<host>\[[0-9a-fA-F:.]+\]|[^:[\]]+):(?<port>\d{1,5})$/;

const toEndpoint = (
  instance: string | FixedEndpoint,
  service: string,
  account: string,
  defaultTransport: Transport,
): Endpoint => {
  const given = typeof instance === "string" ? parseAddress(instance, service) : instance;
  return {
    id: given.id ?? `${given.address}:${given.port}`,
    address: given.address,
    port: given.port,
    transport: given.transport ?? defaultTransport,
    labels: given.labels ?? {},
    health: "healthy",
    serviceAccount: given.serviceAccount ?? account,
    ...(given.locality === undefined ? {} : { locality: given.locality }),
    ...(given.weight === undefined ? {} : { weight: given.weight }),
  };
};

const parseAddress = (text: string, service: string): FixedEndpoint => {
  const { host, port } = HOST_AND_PORT.exec(text)?.groups ?? {};
  const number = Number(port);
  if (host === undefined || number < 1 || number > 65_535) {
    throw new MeshError("INVALID_CALL", {
      message: `the endpoint "${text}" of service "${service}" is no address`,
      hint: 'write "host:port", such as "127.0.0.1:9080" or "[::1]:9080"',
    });
  }
  return { address: host.replace(/^\[|\]$/g, ""), port: number };
};
