import {
  externalPortOf,
  isPlaintext,
  namespaceOf,
  type Policy,
  serviceKey,
  servicePortOf,
  splitServiceKey,
} from "@tulle/policy";
import { type Catalog, type CatalogExternal, fullNameOf } from "./catalog.ts";
import type { Findings } from "./finding.ts";
import { readDestinationRules } from "./istio/destination-rules.ts";
import { catalogEntries } from "./istio/entry-catalog.ts";
import { readServiceEntry, serviceEntryKind } from "./istio/service-entry.ts";
import { readWorkloadEntry, workloadEntryKind } from "./istio/workload-entry.ts";
import { readService, serviceKind } from "./kubernetes/service.ts";
import { readWorkload, workloadKinds } from "./kubernetes/workload.ts";
import type { SourceDocument } from "./source-document.ts";
import { isOfKind, type SourceKind } from "./source-kind.ts";
import { byAge } from "./translation-context.ts";

/**
 * Reads what documents tell of services, workloads and names, before any of them is translated.
 *
 * @param existing policies that hold already, whose services documents may mean
 */
export const readCatalog = (
  documents: readonly SourceDocument[],
  existing: readonly Policy[] | undefined,
  rootNamespace: string,
  findings: Findings,
): Catalog => {
  const ofKind = (kind: SourceKind): readonly SourceDocument[] => documents.filter((each) => isOfKind(each, kind));
  const services = new Map(ofKind(serviceKind).map((document) => readService(document, findings)));
  const before = (existing ?? []).filter((policy) => policy.kind === "Service");
  const rules = readDestinationRules(documents, rootNamespace, findings);
  const entries = [...ofKind(serviceEntryKind)].sort(byAge).map((document) => readServiceEntry(document, findings));
  const found = catalogEntries(
    entries.filter(({ document }) => !findings.refuses(document)),
    new Set(services.keys()),
    before,
  );
  const all = new Map([...services, ...found.services.map((service) => [service.key, service] as const)]);
  return {
    services: all,
    workloads: [
      ...documents
        .filter((document) => workloadKinds.some((kind) => isOfKind(document, kind)))
        .map((document) => readWorkload(document, findings)),
      ...ofKind(workloadEntryKind).map((document) => readWorkloadEntry(document, findings)),
    ],
    externals: new Map([...externalsAmong(existing ?? []), ...found.externals]),
    entries: found.entries,
    rules,
    subsetsOf: (key) => {
      const rule = rules.for(all.get(key)?.hosts?.[0] ?? fullNameOf(key), splitServiceKey(key).namespace);
      if (rule !== undefined) return new Set(rule.subsets.keys());
      const policy = before.find((each) => serviceKey(namespaceOf(each), each.name) === key);
      // Documents alone may be a part of what there is.
      return policy === undefined ? undefined : new Set(Object.keys(policy.subsets ?? {}));
    },
  };
};

/** The hosts from outside that services have which are there already. */
const externalsAmong = (existing: readonly Policy[]): ReadonlyMap<string, readonly CatalogExternal[]> => {
  const externals = new Map<string, CatalogExternal[]>();
  for (const policy of existing) {
    if (policy.kind !== "Service" && policy.kind !== "ExternalService") continue;
    if (policy.kind === "ExternalService" && policy.resolution === "none") continue;
    const port = policy.kind === "Service" ? servicePortOf(policy) : externalPortOf(policy);
    const way = {
      key: serviceKey(namespaceOf(policy), policy.name),
      port,
      isHttp: policy.kind === "Service" || isPlaintext(policy) || port !== HTTPS_PORT,
    };
    for (const host of policy.hosts ?? []) externals.set(host, [...(externals.get(host) ?? []), way]);
  }
  return externals;
};

const HTTPS_PORT = 443;
