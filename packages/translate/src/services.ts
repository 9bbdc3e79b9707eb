import { type ServiceKey, type ServicePolicy, splitServiceKey } from "@tulle/policy";
import {
  type Catalog,
  type CatalogService,
  type CatalogWorkload,
  fullNameOf,
  resolveHost,
  type ServicePort,
  workloadsWith,
} from "./catalog.ts";
import { externalServices } from "./external-services.ts";
import { destinationRuleKind } from "./istio/destination-rule.ts";
import type { DestinationRules, MergedRule } from "./istio/destination-rules.ts";
import { serviceEntryKind } from "./istio/service-entry.ts";
import { levelsOf, overridesOf } from "./istio/service-traffic.ts";
import { workloadEntryKind } from "./istio/workload-entry.ts";
import type { TranslationContext } from "./translation-context.ts";
import type { TranslatedPolicy, Translator } from "./translator.ts";

/** Services of Kubernetes, and what DestinationRules say of services, become Service policies. */
export const services: Translator = {
  kinds: [destinationRuleKind, serviceEntryKind, workloadEntryKind],
  translate: (context) => {
    const { rules } = context.catalog;
    rules.tellUnknown(new Set([...context.catalog.externals.keys()]));
    return [
      ...keysOf(context, rules).flatMap((key) => serviceOf(key, context, rules) ?? []),
      ...externalServices(context, rules),
    ];
  },
};

/** The services that documents may say something of: those of the documents, and those that are there already. */
const keysOf = ({ catalog, existing }: TranslationContext, { named }: DestinationRules): readonly ServiceKey[] => {
  const hosts = named.map((host) => resolveHost(host, "default"));
  const ofRules = hosts.flatMap((host) => (host.kind === "service" ? [host.key] : []));
  return [...new Set([...catalog.services.keys(), ...ofRules, ...existing.keys()])];
};

/** What a Service of Kubernetes decides of a policy. */
const ofService: readonly (keyof ServicePolicy)[] = [
  "hosts",
  "port",
  "ports",
  "protocol",
  "selector",
  "serviceAccounts",
];

/** What DestinationRules decide of a policy. */
const ofRule: readonly (keyof ServicePolicy)[] = [
  "subsets",
  "subsetPolicies",
  "portPolicies",
  "balancer",
  "hashKey",
  "slowStart",
  "locality",
  "connectionPool",
  "outlierDetection",
  "panicThreshold",
  "retryBudget",
  "tls",
];

const serviceOf = (
  key: ServiceKey,
  { catalog, existing }: TranslationContext,
  rules: DestinationRules,
): TranslatedPolicy | undefined => {
  const { name, namespace } = splitServiceKey(key);
  const service = catalog.services.get(key);
  const rule = rules.for(service?.hosts?.[0] ?? fullNameOf(key), namespace);
  const from = [...(service === undefined ? [] : [service.document]), ...(rule?.from ?? [])];
  const [first] = from;
  if (first === undefined) return undefined;
  const policy: ServicePolicy = {
    ...without(existing.get(key), [...(service ? ofService : []), ...(rule ? ofRule : [])]),
    kind: "Service",
    name,
    namespace,
    ...(service === undefined ? {} : fieldsOfService(service, catalog)),
    ...(rule === undefined ? {} : fieldsOfRule(rule)),
    origin: first.place.origin,
  };
  return { policy, from };
};

const without = (
  policy: ServicePolicy | undefined,
  fields: readonly (keyof ServicePolicy)[],
): Partial<ServicePolicy> => {
  const left = Object.entries(policy ?? {}).filter(([field]) => !(fields as readonly string[]).includes(field));
  return Object.fromEntries(left);
};

const fieldsOfRule = ({ policy, subsets }: MergedRule): Partial<ServicePolicy> => {
  const tls = policy?.tls;
  const levels = levelsOf(policy, new Map([...subsets].map(([name, subset]) => [name, subset.policy])));
  return {
    ...(subsets.size === 0
      ? {}
      : { subsets: Object.fromEntries([...subsets].map(([name, { labels }]) => [name, labels])) }),
    ...overridesOf(policy ?? {}),
    ...levels,
    ...(policy?.connectionPool?.upgrade === true ? { protocol: "http2" } : {}),
    // Whether an instance is a member, and speaks the mesh's TLS, is told by the registry.
    ...(tls === undefined || tls.mode === "mesh" || tls.mode === "disable" ? {} : { tls: tls.outside }),
  };
};

const fieldsOfService = (service: CatalogService, catalog: Catalog): Partial<ServicePolicy> => {
  const { ports, selector } = service;
  const main = mainPort(ports);
  const accounts = [...new Set([...(service.accounts ?? []), ...accountsOf(service, catalog)])].sort();
  const protocol = protocolOf(ports);
  const further = ports.map(({ port }) => port).filter((port) => port !== main?.port);
  const labels = Object.keys(selector ?? {}).length === 0 ? undefined : selector;
  return {
    ...((service.hosts ?? []).length === 0 ? {} : { hosts: service.hosts ?? [] }),
    ...(main === undefined ? {} : { port: main.port }),
    ...(further.length === 0 ? {} : { ports: [...new Set(further)] }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(labels === undefined ? {} : { selector: labels }),
    ...(accounts.length === 0 ? {} : { serviceAccounts: accounts }),
  };
};

/** The port of URLs that name none: 80, or the first that speaks HTTP, or the first. */
const mainPort = (ports: readonly ServicePort[]): ServicePort | undefined =>
  ports.find(({ port }) => port === 80) ?? ports.find(({ protocol }) => speaks(protocol) !== undefined) ?? ports[0];

type Protocol = NonNullable<ServicePolicy["protocol"]>;

/** What is spoken by the words of `appProtocol` and of port names, as Istio reads them. */
const speaks = (word: string | undefined): Protocol | undefined => {
  switch (word) {
    case "http":
    case "kubernetes.io/ws":
      return "http";
    case "http2":
    case "kubernetes.io/h2c":
      return "http2";
    case "grpc":
    case "grpc-web":
      return "grpc";
    default:
      return undefined;
  }
};

/** HTTP/1.1 where any port speaks it, for an instance listens once for all of them. */
export const protocolOf = (ports: readonly ServicePort[]): Protocol | undefined => {
  const spoken = ports.map(({ protocol }) => speaks(protocol));
  if (spoken.length === 0 || spoken.some((each) => each === undefined || each === "http")) return undefined;
  return spoken.includes("grpc") ? "grpc" : "http2";
};

/**
 * Who may answer: the accounts that the workloads behind a service name. One that names none has, in this mesh, the account of
 * the service that it joins as, which is any of those that select it; where that is this service alone, nothing need be said.
 */
const accountsOf = ({ selector, key }: CatalogService, catalog: Catalog): readonly string[] => {
  const { name, namespace } = splitServiceKey(key);
  if (selector === undefined || Object.keys(selector).length === 0) return [];
  const accounts = new Set<string>();
  for (const workload of workloadsWith(catalog, namespace, selector)) {
    if (workload.serviceAccount !== undefined) accounts.add(workload.serviceAccount);
    else for (const other of servicesOf(workload, catalog)) accounts.add(splitServiceKey(other.key).name);
  }
  return accounts.size === 1 && accounts.has(name) ? [] : [...accounts].sort();
};

const servicesOf = ({ namespace, labels }: CatalogWorkload, { services: all }: Catalog): readonly CatalogService[] =>
  [...all.values()].filter(
    ({ key, selector = {} }) =>
      splitServiceKey(key).namespace === namespace &&
      Object.keys(selector).length > 0 &&
      Object.entries(selector).every(([name, value]) => labels[name] === value),
  );
