import { isIP } from "node:net";
import { type ExternalServicePolicy, type OutsideTls, splitServiceKey } from "@tulle/policy";
import { type Catalog, type ExternalEntry, workloadsWith } from "./catalog.ts";
import type { DestinationRules } from "./istio/destination-rules.ts";
import type { EntryPort, ServiceEntry } from "./istio/service-entry.ts";
import { overridesOf } from "./istio/service-traffic.ts";
import type { TrafficSettings } from "./istio/traffic-policy.ts";
import type { Endpoint } from "./istio/workload-entry.ts";
import type { TranslationContext } from "./translation-context.ts";
import type { TranslatedPolicy } from "./translator.ts";

/** Makes an ExternalService of each host and port that a ServiceEntry tells of, with what DestinationRules say of it. */
export const externalServices = (
  { catalog }: TranslationContext,
  rules: DestinationRules,
): readonly TranslatedPolicy[] => catalog.entries.flatMap((each) => externalService(each, catalog, rules));

const externalService = (
  { key, hosts, port, entry }: ExternalEntry,
  catalog: Catalog,
  rules: DestinationRules,
): readonly TranslatedPolicy[] => {
  const { name, namespace } = splitServiceKey(key);
  const { document } = entry;
  const common = { kind: "ExternalService", name, namespace, hosts, origin: document.place.origin } as const;
  if (port === undefined) return [{ policy: { ...common, resolution: "none" }, from: [document] }];
  const addresses = addressesOf(entry, port, hosts, catalog);
  if (addresses?.length === 0) {
    entry.fields.warn("workloadSelector", "no WorkloadEntry is selected that has an address: nobody can be called");
    return [];
  }
  const rule = rules.for(hosts[0] ?? "", document.namespace);
  const settings: TrafficSettings = rule?.policy?.ports.get(port.number) ?? rule?.policy ?? {};
  // Where endpoints outside the mesh are, nobody knows.
  const { locality: _, ...resilience } = overridesOf(settings);
  const isStatic = addresses?.every((address) => isIP(address.replace(/^\[(.*)\]:\d+$|:\d+$/, "$1")) !== 0) === true;
  const policy: ExternalServicePolicy = {
    ...common,
    port: port.number,
    ...(addresses === undefined ? {} : { addresses }),
    ...(isStatic ? { resolution: "static" } : {}),
    ...resilience,
    ...tlsOf(port, settings, entry),
  };
  if (port.isHttp2) entry.fields.tellNoMeaning("ports", "services outside the mesh are called in HTTP/1.1");
  return [{ policy, from: [document, ...(rule?.from ?? [])] }];
};

/** TLS where callers of this port begin it, or where a DestinationRule has it begun. */
const tlsOf = (
  { spoken }: EntryPort,
  { tls }: TrafficSettings,
  { subjectAltNames }: ServiceEntry,
): { readonly tls?: OutsideTls } => {
  const begun = tls === undefined || tls.mode === "disable" ? undefined : tls.outside;
  if (begun === undefined) return spoken === "http" ? { tls: { mode: "disable" } } : {};
  const named = begun.subjectAltNames !== undefined || subjectAltNames.length === 0;
  return { tls: named ? begun : { ...begun, subjectAltNames } };
};

/** Where calls go; `undefined`: to the hosts, on the port of URLs. */
const addressesOf = (
  { document, endpoints, resolution, selector }: ServiceEntry,
  port: EntryPort,
  hosts: readonly string[],
  catalog: Catalog,
): readonly string[] | undefined => {
  const selected =
    selector === undefined || resolution === "NONE"
      ? undefined
      : workloadsWith(catalog, document.namespace, selector).flatMap(({ endpoint }) => endpoint ?? []);
  const known = selected ?? (endpoints.length === 0 ? undefined : endpoints);
  if (known !== undefined) return [...new Set(known.flatMap((endpoint) => addressOf(endpoint, port)))];
  return port.targetPort === port.number ? undefined : hosts.map((host) => `${host}:${port.targetPort}`);
};

const addressOf = ({ address, ports }: Endpoint, port: EntryPort): readonly string[] => {
  if (address === undefined) return [];
  return [`${address.includes(":") ? `[${address}]` : address}:${ports[port.name] ?? port.targetPort}`];
};
