import { namespaceOf, type ServiceKey, type ServicePolicy, serviceKey, splitServiceKey } from "@tulle/policy";
import { type CatalogExternal, type CatalogService, type ExternalEntry, resolveHost } from "../catalog.ts";
import { documentKey } from "../source-document.ts";
import type { EntryPort, ServiceEntry } from "./service-entry.ts";

/** What ServiceEntries add to what is known of services and names. */
export interface EntryCatalog {
  /** Services of the mesh under names of their own. */
  readonly services: readonly CatalogService[];
  readonly entries: readonly ExternalEntry[];
  readonly externals: ReadonlyMap<string, readonly CatalogExternal[]>;
}

/**
 * Gives each host and port of ServiceEntries its service. Of two that want the same host and port the older holds.
 *
 * @param entries oldest first, none of them refused
 * @param told services that other documents tell of
 * @param existing services of the mesh that are there already
 */
export const catalogEntries = (
  entries: readonly ServiceEntry[],
  told: ReadonlySet<ServiceKey>,
  existing: readonly ServicePolicy[],
): EntryCatalog => {
  const keyByHost = new Map(
    existing.flatMap((policy) =>
      (policy.hosts ?? []).map((host) => [host, serviceKey(namespaceOf(policy), policy.name)] as const),
    ),
  );
  const services: CatalogService[] = [];
  const external: ExternalEntry[] = [];
  const names = new Set<ServiceKey>([
    ...told,
    ...existing.map((policy) => serviceKey(namespaceOf(policy), policy.name)),
  ]);
  const places = new Map<string, ServiceEntry>();
  const externals = new Map<string, CatalogExternal[]>();
  for (const entry of entries) {
    // What is exported to nobody is known to nobody.
    if (entry.visibility?.length === 0) continue;
    const found = entry.isInternal
      ? entry.hosts.flatMap((host) => internalOf(entry, host, names, keyByHost.get(host), told))
      : externalOf(entry, names, places);
    for (const each of found) {
      if ("document" in each) services.push(each);
      else external.push(each);
      for (const host of each.hosts ?? []) addWays(externals, host, each);
    }
  }
  return { services, entries: external, externals };
};

const addWays = (
  externals: Map<string, CatalogExternal[]>,
  host: string,
  found: CatalogService | ExternalEntry,
): void => {
  const ways: readonly CatalogExternal[] =
    "document" in found
      ? found.ports.map(({ port }) => ({ key: found.key, port, isHttp: true }))
      : found.port === undefined
        ? []
        : [{ key: found.key, port: found.port.number, isHttp: found.port.spoken === "http" }];
  const known = ways.length === 0 && "document" in found ? [{ key: found.key, port: 80, isHttp: true }] : ways;
  if (known.length > 0) externals.set(host, [...(externals.get(host) ?? []), ...known]);
};

const internalOf = (
  { document, fields, ports, selector, endpoints, subjectAltNames }: ServiceEntry,
  host: string,
  names: Set<ServiceKey>,
  before: ServiceKey | undefined,
  told: ReadonlySet<ServiceKey>,
): readonly CatalogService[] => {
  if (host.startsWith("*")) {
    fields.tellNoMeaning("hosts", `a service of the mesh has names, and "${host}" is none`);
    return [];
  }
  if (endpoints.length > 0) {
    fields.tellNoMeaning("endpoints", "members of the mesh tell their addresses when they join");
  }
  const resolved = resolveHost(host, document.namespace);
  const isOwnName = resolved.kind === "service";
  const key = isOwnName ? resolved.key : (before ?? freeKey(document.namespace, labelOf(host), names));
  if (isOwnName && told.has(key)) {
    fields.warn("hosts", `"${host}" is a Service already, which is taken`);
    return [];
  }
  names.add(key);
  return [
    {
      key,
      ports: ports
        .filter(({ spoken }) => spoken !== "other")
        .map(({ name, number, targetPort, isHttp2 }) => ({
          name,
          port: number,
          protocol: isHttp2 ? "http2" : "http",
          targetPort,
        })),
      selector,
      hosts: isOwnName ? [] : [host],
      accounts: subjectAltNames.flatMap((name) => accountIn(name, document.namespace) ?? []),
      document,
    },
  ];
};

/** The account of a SPIFFE ID, as Istio writes them, in a namespace. */
const accountIn = (name: string, namespace: string): string | undefined => {
  const [, home, account] = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(name) ?? [];
  return home === namespace ? account : undefined;
};

const externalOf = (
  entry: ServiceEntry,
  names: Set<ServiceKey>,
  places: Map<string, ServiceEntry>,
): readonly ExternalEntry[] => {
  const { document, fields, hosts, ports, resolution } = entry;
  const namespace = document.namespace;
  for (const { name, number } of ports.filter(({ spoken }) => spoken === "other")) {
    fields.tellNoMeaning("ports", `port ${number} (${name}) speaks no HTTP, and goes its way without the mesh`);
  }
  const wild = hosts.filter((host) => host.startsWith("*"));
  const partial = wild.filter((host) => !host.startsWith("*."));
  for (const host of partial) {
    fields.tellNoMeaning("hosts", `"${host}" stands for part of a label: only whole labels can be named by "*."`);
  }
  if (wild.length > 0 && entry.endpoints.length > 0) {
    fields.tellNoMeaning("endpoints", "calls to a name below a wildcard go where that name leads");
  }
  const passing = [
    ...wild.filter((host) => !partial.includes(host)),
    ...(ports.some(({ spoken }) => spoken !== "other") ? [] : hosts.filter((host) => !wild.includes(host))),
  ].filter((host) => take(entry, host, undefined, places));
  const ways = hosts
    .filter((host) => !wild.includes(host))
    .flatMap((host) => ports.filter(({ spoken }) => spoken !== "other").map((port) => ({ host, port })))
    .filter(({ host, port }) => take(entry, host, port, places));
  const isAlone = ways.length + (passing.length > 0 ? 1 : 0) === 1;
  const several = { hosts: new Set(ways.map(({ host }) => host)).size > 1, ports: ports.length > 1 };
  if (resolution === "STATIC" && ways.length > 0 && entry.endpoints.length === 0 && entry.selector === undefined) {
    fields.warn("resolution", "STATIC without endpoints: the hosts are looked up instead");
  }
  return [
    ...(passing.length === 0
      ? []
      : [
          {
            key: freeKey(namespace, isAlone ? labelOf(document.name) : labelOf(`${document.name}-names`), names),
            hosts: passing,
            port: undefined,
            entry,
          },
        ]),
    ...ways.map(({ host, port }): ExternalEntry => {
      const parts = [document.name, ...(several.hosts ? [host] : []), ...(several.ports ? [String(port.number)] : [])];
      return {
        key: keyFor(host, namespace, isAlone ? document.name : parts.join("-"), names),
        hosts: [host],
        port,
        entry,
      };
    }),
  ];
};

/** A host that is a name of the mesh's own is that service, so that other documents find it. */
const keyFor = (host: string, namespace: string, wanted: string, names: Set<ServiceKey>): ServiceKey => {
  const resolved = resolveHost(host, namespace);
  if (resolved.kind !== "service") return freeKey(namespace, labelOf(wanted), names);
  const own = splitServiceKey(resolved.key);
  return freeKey(own.namespace, own.name, names);
};

const take = (
  entry: ServiceEntry,
  host: string,
  port: EntryPort | undefined,
  places: Map<string, ServiceEntry>,
): boolean => {
  const older = places.get(host) ?? (port === undefined ? undefined : places.get(`${host}:${port.number}`));
  if (older === undefined) {
    places.set(port === undefined ? host : `${host}:${port.number}`, entry);
    return true;
  }
  if (older !== entry) {
    entry.fields.warn("hosts", `${documentKey(older.document)} is older and has ${host}: this one is not used for it`);
  }
  return false;
};

const LONGEST_NAME = 63;

/** A text as a label of DNS. */
export const labelOf = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, LONGEST_NAME)
    .replaceAll(/^-+|-+$/g, "") || "host";

/** A name that no other service has. */
const freeKey = (namespace: string, wanted: string, names: Set<ServiceKey>): ServiceKey => {
  for (let number = 1; ; number++) {
    const end = number === 1 ? "" : `-${number}`;
    const key = serviceKey(namespace, `${wanted.slice(0, LONGEST_NAME - end.length)}${end}`);
    if (names.has(key)) continue;
    names.add(key);
    return key;
  }
};
