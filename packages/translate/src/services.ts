import type { ServicePolicy } from "@tulle/policy";
import { type Catalog, type CatalogService, type CatalogWorkload, type ServicePort, workloadsWith } from "./catalog.ts";
import type { TranslatedPolicy, Translator } from "./translator.ts";

/** Services of Kubernetes become Service policies. */
export const services: Translator = {
  kinds: [],
  translate: ({ catalog }) => [...catalog.services.values()].map((service) => serviceOf(service, catalog)),
};

const serviceOf = (service: CatalogService, catalog: Catalog): TranslatedPolicy => {
  const { document, ports, selector } = service;
  const main = mainPort(ports);
  const accounts = accountsOf(service, catalog);
  const protocol = protocolOf(ports);
  const further = ports.map(({ port }) => port).filter((port) => port !== main?.port);
  const labels = Object.keys(selector ?? {}).length === 0 ? undefined : selector;
  const policy: ServicePolicy = {
    kind: "Service",
    name: document.name,
    namespace: document.namespace,
    ...(main === undefined ? {} : { port: main.port }),
    ...(further.length === 0 ? {} : { ports: [...new Set(further)] }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(labels === undefined ? {} : { selector: labels }),
    ...(accounts.length === 0 ? {} : { serviceAccounts: accounts }),
    origin: document.place.origin,
  };
  return { policy, from: [document] };
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
const protocolOf = (ports: readonly ServicePort[]): Protocol | undefined => {
  const spoken = ports.map(({ protocol }) => speaks(protocol));
  if (spoken.length === 0 || spoken.some((each) => each === undefined || each === "http")) return undefined;
  return spoken.includes("grpc") ? "grpc" : "http2";
};

/**
 * Who may answer: the accounts that the workloads behind a service name. One that names none has, in this mesh, the account of
 * the service that it joins as, which is any of those that select it; where that is this service alone, nothing need be said.
 */
const accountsOf = ({ selector, document }: CatalogService, catalog: Catalog): readonly string[] => {
  if (selector === undefined || Object.keys(selector).length === 0) return [];
  const accounts = new Set<string>();
  for (const workload of workloadsWith(catalog, document.namespace, selector)) {
    if (workload.serviceAccount !== undefined) accounts.add(workload.serviceAccount);
    else for (const { document: other } of servicesOf(workload, catalog)) accounts.add(other.name);
  }
  return accounts.size === 1 && accounts.has(document.name) ? [] : [...accounts].sort();
};

const servicesOf = ({ namespace, labels }: CatalogWorkload, { services: all }: Catalog): readonly CatalogService[] =>
  [...all.values()].filter(
    ({ document, selector = {} }) =>
      document.namespace === namespace &&
      Object.keys(selector).length > 0 &&
      Object.entries(selector).every(([name, value]) => labels[name] === value),
  );
