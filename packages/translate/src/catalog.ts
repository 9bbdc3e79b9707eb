import { CLUSTER_DOMAIN, type ServiceKey, serviceKey } from "@tulle/policy";
import type { DestinationRules } from "./istio/destination-rules.ts";
import type { EntryPort, ServiceEntry } from "./istio/service-entry.ts";
import type { Endpoint } from "./istio/workload-entry.ts";
import type { SourceDocument } from "./source-document.ts";

/** What a host in a document means. */
export type ResolvedHost =
  /** A service of the mesh, whether or not a document tells of it: the config-server may know it. */
  | { readonly kind: "service"; readonly key: ServiceKey }
  /** A name outside the cluster's own: a ServiceEntry may tell of it. */
  | { readonly kind: "external"; readonly host: string }
  /** `*`, or `*.` and a name. */
  | { readonly kind: "wildcard"; readonly host: string };

/** One port of a service as Kubernetes tells of it. */
export interface ServicePort {
  readonly name: string | undefined;
  readonly port: number;
  /** What is spoken on it, by `appProtocol`, else by the name's prefix, as Istio finds it; lower case. */
  readonly protocol: string | undefined;
  /** Where the workload listens: a number, or the name of a container's port. Default the port itself. */
  readonly targetPort: number | string;
}

/** A service that a document tells of. */
export interface CatalogService {
  readonly key: ServiceKey;
  readonly ports: readonly ServicePort[];
  /** Labels of the workloads behind it; `undefined` where none are selected. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** Names that it has beside its own, where a ServiceEntry tells of it. */
  readonly hosts?: readonly string[];
  /** Accounts that may answer for it, where a document names them. */
  readonly accounts?: readonly string[];
  readonly document: SourceDocument;
}

/** One way to a service that a host from outside means. */
export interface CatalogExternal {
  readonly key: ServiceKey;
  /** The port in URLs. */
  readonly port: number;
  /** HTTP is spoken, so that routes are for it; not where callers begin TLS themselves. */
  readonly isHttp: boolean;
}

/** A workload that a document tells of: a Deployment's pods, or a WorkloadEntry. */
export interface CatalogWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `undefined` where the document names none. */
  readonly serviceAccount: string | undefined;
  /** Where it can be called, where a document says that. */
  readonly endpoint?: Endpoint;
}

/** A host on a port outside the mesh, as a ServiceEntry has it. */
export interface ExternalEntry {
  readonly key: ServiceKey;
  readonly hosts: readonly string[];
  /** `undefined`: calls are handed on untouched, whatever the port. */
  readonly port: EntryPort | undefined;
  readonly entry: ServiceEntry;
}

/** What the documents say of services and workloads. */
export interface Catalog {
  readonly services: ReadonlyMap<ServiceKey, CatalogService>;
  readonly workloads: readonly CatalogWorkload[];
  /** What hosts from outside mean, port by port; lower case. Never empty. */
  readonly externals: ReadonlyMap<string, readonly CatalogExternal[]>;
  /** What ServiceEntries tell of services outside the mesh. */
  readonly entries: readonly ExternalEntry[];
  /** What DestinationRules say of services. */
  readonly rules: DestinationRules;
  /** The names of a service's subsets; `undefined` where nobody knows whether there are others. */
  subsetsOf(key: ServiceKey): ReadonlySet<string> | undefined;
}

/**
 * What a host means in a namespace, as Istio reads it: a name without a dot is a service of the namespace; a name below
 * `svc.cluster.local` is a service of its own namespace; every other name is a full name from outside.
 */
export const resolveHost = (host: string, namespace: string): ResolvedHost => {
  const name = host.toLowerCase().replace(/\.$/, "");
  if (name.startsWith("*")) return { kind: "wildcard", host: name };
  if (!name.includes(".")) return { kind: "service", key: serviceKey(namespace, name) };
  const inside = /^([^.]+)\.([^.]+)\.svc(?:\.cluster\.local)?$/.exec(name);
  const [, service, ofNamespace] = inside ?? [];
  return service === undefined || ofNamespace === undefined
    ? { kind: "external", host: name }
    : { kind: "service", key: serviceKey(ofNamespace, service) };
};

/** Whether a host with a wildcard covers a name. */
export const wildcardCovers = (wildcard: string, name: string): boolean =>
  wildcard === "*" || (name.length > wildcard.length - 1 && name.endsWith(wildcard.slice(1)));

/** The full name of a service of the mesh, which wildcards are compared with. */
export const fullNameOf = (key: ServiceKey): string => {
  const slash = key.indexOf("/");
  return `${key.slice(slash + 1)}.${key.slice(0, slash)}.svc.${CLUSTER_DOMAIN}`;
};

/** The workloads of a namespace that carry all the labels. */
export const workloadsWith = (
  { workloads }: Catalog,
  namespace: string,
  labels: Readonly<Record<string, string>>,
): readonly CatalogWorkload[] =>
  workloads.filter(
    (workload) =>
      workload.namespace === namespace &&
      Object.entries(labels).every(([name, value]) => workload.labels[name] === value),
  );
