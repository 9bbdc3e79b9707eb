import {
  type ExternalServicePolicy,
  type RoutePolicy,
  type RouteRule,
  type ServiceKey,
  serviceKey,
  splitServiceKey,
} from "@tulle/policy";
import { type Catalog, type CatalogExternal, fullNameOf, resolveHost, wildcardCovers } from "../catalog.ts";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import { listIn } from "../raw-value.ts";
import { documentKey, type SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { byAge, documentsOf, type TranslationContext } from "../translation-context.ts";
import type { TranslatedPolicy, Translator } from "../translator.ts";
import { corsMessage } from "./cors.ts";
import { expandDelegates, type WrittenRule } from "./delegates.ts";
import { destinationMessage, portSelectorMessage, referenceTo } from "./destination.ts";
import { labelOf } from "./entry-catalog.ts";
import { faultAbortMessage, faultDelayMessage, faultMessage } from "./fault.ts";
import { headerOperationsMessage, headersMessage } from "./header-operations.ts";
import { overlapping, whyNoHost } from "./hosts.ts";
import {
  bodyMessage,
  bodySpecifierMessage,
  directResponseMessage,
  redirectMessage,
  regexRewriteMessage,
  rewriteMessage,
} from "./http-answer.ts";
import { httpMatchMessage, isForMesh } from "./http-match.ts";
import { delegateMessage, httpRouteMessage, readHttpRoute, routeDestinationMessage } from "./http-route.ts";
import { mirrorMessage } from "./mirror.ts";
import { percentMessage } from "./percent.ts";
import { retriesMessage } from "./retries.ts";
import { seenFrom, withAnswerToOthers } from "./rule-reach.ts";
import { stringMatchMessage } from "./string-match.ts";
import { checkTcpRoutes, tcpMessages } from "./tcp-route.ts";
import { readExportTo, type Visibility } from "./visibility.ts";

const spec: Message<"hosts" | "gateways" | "http" | "tls" | "tcp" | "exportTo"> = message("VirtualService", {
  hosts: to("Route.services"),
  gateways: to("Route, where `mesh` is among them or none is named"),
  http: to("Route.rules"),
  tls: noMeaning("connections that are no HTTP do not go through the mesh"),
  tcp: noMeaning("connections that are no HTTP do not go through the mesh"),
  exportTo: to("match[].source.namespace"),
});

/** Istio's VirtualService. */
export const virtualServiceKind: SourceKind = {
  group: "networking.istio.io",
  kind: "VirtualService",
  versions: ["v1", "v1beta1", "v1alpha3"],
  messages: [
    spec,
    httpRouteMessage,
    httpMatchMessage,
    stringMatchMessage,
    routeDestinationMessage,
    destinationMessage,
    portSelectorMessage,
    headersMessage,
    headerOperationsMessage,
    redirectMessage,
    directResponseMessage,
    bodyMessage,
    bodySpecifierMessage,
    delegateMessage,
    rewriteMessage,
    regexRewriteMessage,
    retriesMessage,
    faultMessage,
    faultDelayMessage,
    faultAbortMessage,
    percentMessage,
    mirrorMessage,
    corsMessage,
    ...tcpMessages,
  ],
};

/** VirtualServices become Routes. Of several for one host the oldest holds, as for calls from inside Istio's mesh. */
export const virtualServices: Translator = {
  kinds: [virtualServiceKind],
  translate: (context) => {
    const documents = [...documentsOf(context, virtualServiceKind)].sort(byAge);
    const read = documents.map((document) => readDocument(document, context));
    const delegates = read.filter(({ hosts }) => hosts.length === 0);
    const exact = new Map<ServiceKey, SourceDocument>();
    return read.flatMap((each) => {
      const rules = rulesOf(each, delegates, context);
      if (each.hosts.length === 0 || !each.forMesh) return [];
      return [...externalsOf(each, context.catalog), ...routeOf(each, rules, read, exact, context)];
    });
  },
};

interface ReadDocument {
  readonly document: SourceDocument;
  readonly fields: FieldsOf<typeof spec>;
  readonly hosts: readonly string[];
  readonly forMesh: boolean;
  readonly visibility: Visibility;
}

const readDocument = (document: SourceDocument, { findings }: TranslationContext): ReadDocument => {
  const whole = new Fields(document.value, documentMessage, document, [], findings);
  const fields = whole.message("spec", spec) ?? new Fields({}, spec, document, ["spec"], findings);
  const hosts = fields.texts("hosts") ?? [];
  const gateways = fields.texts("gateways");
  const forMesh = isForMesh(gateways);
  for (const [at, host] of hosts.entries()) {
    const wrong = whyNoHost(host, { wildcard: true });
    if (wrong !== undefined) fields.refuse("hosts", wrong, at);
    else if (host === "*" && forMesh)
      fields.refuse("hosts", '"*" would be every host of the mesh: name hosts, or a gateway', at);
  }
  const pair = overlapping(hosts);
  if (pair !== undefined) fields.refuse("hosts", `"${pair[0]}" and "${pair[1]}" overlap`);
  for (const [at, gateway] of (gateways ?? []).entries()) {
    if (gateway.split("/").length > 2 || gateway.split("/").includes("")) {
      fields.refuse("gateways", `"${gateway}" is no gateway: write its name, or its namespace and name`, at);
    }
  }
  if (!["http", "tls", "tcp"].some((routes) => listIn(fields.raw(routes as "http")).length > 0)) {
    fields.refuse("http", "a VirtualService needs a rule");
  }
  if (hosts.length === 0 && (gateways ?? []).length > 0) {
    fields.refuse("gateways", "a delegate, which has no hosts, has no gateways either");
  }
  if (hosts.length === 0 && (fields.has("tls") || fields.has("tcp"))) {
    fields.refuse("http", "a delegate, which has no hosts, has rules of HTTP alone");
  }
  checkTcpRoutes(fields, hosts);
  if (!forMesh && hosts.length > 0) {
    fields.tellNoMeaning("gateways", "it names gateways alone, and calls inside the mesh pass none");
  }
  return { document, fields, hosts, forMesh, visibility: readExportTo(fields, document.namespace) };
};

const rulesOf = (
  { document, fields, hosts }: ReadDocument,
  delegates: readonly ReadDocument[],
  { catalog, findings }: TranslationContext,
): readonly RouteRule[] => {
  const written = listIn(fields.raw("http"));
  const asked = hosts.map((host) => host.toLowerCase());
  const isDelegate = hosts.length === 0;
  const expanded: readonly WrittenRule[] = isDelegate
    ? written.map((value, at) => ({ value, document, path: ["spec", "http", at] }))
    : expandDelegates(
        document,
        written,
        delegates
          .filter(({ visibility }) => visibility?.includes(document.namespace) ?? true)
          .map((delegate) => delegate.document),
        findings,
      );
  if (isDelegate) {
    for (const [at, value] of written.entries()) {
      if (typeof value === "object" && value !== null && "delegate" in value) {
        findings.add("refused", document, ["spec", "http", at, "delegate"], "a delegate cannot delegate");
      }
    }
  }
  return expanded.flatMap((rule) => {
    const fields = new Fields(rule.value, httpRouteMessage, rule.document, rule.path, findings);
    const read = readHttpRoute(fields, catalog, rule.document.namespace, asked);
    if (rule.isLeftOut === true) return [];
    return read.map((each) => inNamespace(each, rule.document.namespace, document.namespace));
  });
};

/** A delegate of another namespace means the services of its own. */
const inNamespace = (rule: RouteRule, from: string, into: string): RouteRule => {
  if (from === into) return rule;
  const moved = (service: string | undefined): { readonly service?: string } =>
    service === undefined ? {} : { service: service.includes(".") ? service : `${service}.${from}` };
  return {
    ...rule,
    ...(rule.split === undefined ? {} : { split: rule.split.map((each) => ({ ...each, ...moved(each.service) })) }),
    ...(rule.mirror === undefined ? {} : { mirror: rule.mirror.map((each) => ({ ...each, ...moved(each.service) })) }),
  };
};

/** The services that the hosts mean, but those that an older document, or one that names them, has rules for. */
const servicesFor = (
  { document, fields, hosts, visibility }: ReadDocument,
  all: readonly ReadDocument[],
  taken: Map<ServiceKey, SourceDocument>,
  catalog: Catalog,
): readonly ServiceKey[] => {
  const named = new Set(
    all
      .filter(({ forMesh }) => forMesh)
      .flatMap((each) => each.hosts.flatMap((host) => exactKeys(host, each.document, catalog))),
  );
  const services = hosts.flatMap((host): readonly ServiceKey[] => {
    const resolved = resolveHost(host, document.namespace);
    if (resolved.kind !== "wildcard") return exactKeys(host, document, catalog);
    const covered = [
      ...[...catalog.services.keys()].filter((each) => wildcardCovers(resolved.host, fullNameOf(each))),
      ...[...catalog.externals]
        .filter(([name]) => wildcardCovers(resolved.host, name))
        .flatMap(([, ways]) => httpKeys(ways)),
    ].filter((each) => !named.has(each));
    if (covered.length === 0) fields.warn("hosts", `no service that a document tells of is called "${host}"`);
    return covered;
  });
  return [...new Set(services)].filter((key) => {
    if (visibility !== undefined) return true;
    const older = taken.get(key);
    if (older === undefined) taken.set(key, document);
    else fields.warn("hosts", `${documentKey(older)} is older and has the rules for ${key}: these are not used`);
    return older === undefined;
  });
};

/** What a host without a wildcard means; rules of HTTP are not for ports on which callers begin TLS themselves. */
const exactKeys = (host: string, document: SourceDocument, { externals }: Catalog): readonly ServiceKey[] => {
  const resolved = resolveHost(host, document.namespace);
  if (resolved.kind === "wildcard") return [];
  const ways = externals.get(host.toLowerCase().replace(/\.$/, ""));
  if (ways !== undefined) return httpKeys(ways);
  return [resolved.kind === "service" ? resolved.key : keyOfHost(resolved.host, document.namespace)];
};

const httpKeys = (ways: readonly CatalogExternal[]): readonly ServiceKey[] =>
  ways.filter(({ isHttp }) => isHttp).map(({ key }) => key);

const routeOf = (
  read: ReadDocument,
  rules: readonly RouteRule[],
  all: readonly ReadDocument[],
  taken: Map<ServiceKey, SourceDocument>,
  { catalog }: TranslationContext,
): readonly TranslatedPolicy[] => {
  const { document, visibility } = read;
  const services = servicesFor(read, all, taken, catalog);
  if (services.length === 0 || rules.length === 0 || visibility?.length === 0) return [];
  const { name, namespace, place } = document;
  const seen = visibility === undefined ? rules : rules.flatMap((rule) => seenFrom(rule, visibility));
  if (seen.length === 0) return [];
  const policy: RoutePolicy = {
    kind: "Route",
    name,
    namespace,
    services: services.map((key) => referenceTo(key, namespace)),
    ...withAnswerToOthers(seen),
    origin: place.origin,
  };
  return [{ policy, from: [document] }];
};

/** Hosts from outside that no ServiceEntry tells of are looked up in DNS, as Istio's proxies hand such calls on. */
const externalsOf = ({ document, hosts }: ReadDocument, catalog: Catalog): readonly TranslatedPolicy[] =>
  hosts.flatMap((host) => {
    const resolved = resolveHost(host, document.namespace);
    if (resolved.kind !== "external" || catalog.externals.has(resolved.host)) return [];
    const { name, namespace } = splitServiceKey(keyOfHost(resolved.host, document.namespace));
    const policy: ExternalServicePolicy = {
      kind: "ExternalService",
      name,
      namespace,
      hosts: [resolved.host],
      port: 80,
      tls: { mode: "disable" },
      origin: document.place.origin,
    };
    return [{ policy, from: [document] }];
  });

/** The name of a service for a host: its own, as a label of DNS. */
const keyOfHost = (host: string, namespace: string): ServiceKey => serviceKey(namespace, labelOf(host));
