import { isIP } from "node:net";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import type { Findings } from "../finding.ts";
import { ignored, type Message, message, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { whyNoHost } from "./hosts.ts";
import { readExportTo, type Visibility } from "./visibility.ts";
import { type Endpoint, isPortName, readEndpoint, workloadEntryMessage } from "./workload-entry.ts";
import { readWorkloadSelector, workloadSelectorMessage } from "./workload-selector.ts";

const spec: Message<
  | "hosts"
  | "addresses"
  | "ports"
  | "location"
  | "resolution"
  | "endpoints"
  | "workloadSelector"
  | "exportTo"
  | "subjectAltNames"
> = message("ServiceEntry", {
  hosts: to("ExternalService.hosts; of services of the mesh, Service.hosts"),
  addresses: ignored("what proxies catch; calls are told apart by their host"),
  ports: to("an ExternalService each; of services of the mesh, Service.port and ports"),
  location: to("a Service for MESH_INTERNAL, else an ExternalService"),
  resolution: to("ExternalService.resolution"),
  endpoints: to("ExternalService.addresses"),
  workloadSelector: to("Service.selector; outside the mesh, the addresses of the WorkloadEntries"),
  exportTo: to("nobody, where it is ~; else names are the same for all callers"),
  subjectAltNames: to("tls.subjectAltNames; of services of the mesh, Service.serviceAccounts"),
});

const portMessage: Message<"number" | "protocol" | "name" | "targetPort"> = message("ServicePort", {
  number: to("port"),
  protocol: to("tls; whether it is HTTP at all"),
  name: to("the name of the port in endpoints"),
  targetPort: to("the port of addresses"),
});

/** Istio's ServiceEntry. */
export const serviceEntryKind: SourceKind = {
  group: "networking.istio.io",
  kind: "ServiceEntry",
  versions: ["v1", "v1beta1", "v1alpha3"],
  messages: [spec, portMessage, workloadEntryMessage, workloadSelectorMessage],
};

/** What is spoken on a port: HTTP in plaintext, TLS that callers begin, or neither. */
export type SpokenOn = "http" | "tls" | "other";

/** One port of a ServiceEntry. */
export interface EntryPort {
  readonly number: number;
  readonly name: string;
  readonly targetPort: number;
  readonly spoken: SpokenOn;
  /** HTTP/2 and gRPC. */
  readonly isHttp2: boolean;
}

const resolutions = ["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] as const;

/** What one ServiceEntry says. */
export interface ServiceEntry {
  readonly document: SourceDocument;
  readonly fields: FieldsOf<typeof spec>;
  readonly hosts: readonly string[];
  readonly ports: readonly EntryPort[];
  readonly isInternal: boolean;
  readonly resolution: (typeof resolutions)[number];
  readonly endpoints: readonly Endpoint[];
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly subjectAltNames: readonly string[];
  readonly visibility: Visibility;
}

type EntryFields = FieldsOf<typeof spec>;

/** Reads one document, as strictly as Istio does. */
export const readServiceEntry = (document: SourceDocument, findings: Findings): ServiceEntry => {
  const whole = new Fields(document.value, documentMessage, document, [], findings);
  const fields = whole.message("spec", spec) ?? new Fields({}, spec, document, ["spec"], findings);
  const resolution = fields.oneOf("resolution", resolutions) ?? "NONE";
  const location = fields.oneOf("location", ["MESH_EXTERNAL", "MESH_INTERNAL"]);
  const hosts = readHosts(fields);
  const ports = readPorts(fields);
  const endpoints = (fields.messages("endpoints", workloadEntryMessage) ?? []).map((each) => readEndpoint(each));
  const selector = readWorkloadSelector(fields.message("workloadSelector", workloadSelectorMessage));
  if (selector !== undefined && endpoints.length > 0) {
    fields.refuse("endpoints", "workloadSelector and endpoints are set: set one");
  }
  checkAddresses(fields, resolution);
  checkEndpoints(fields, { resolution, hosts, ports, endpoints });
  if (resolution !== "NONE" && hosts.length > 1 && ports.some(({ spoken }) => spoken === "other")) {
    fields.refuse("hosts", "several hosts can be told apart by HTTP or TLS alone, and a port speaks neither");
  }
  const visibility = readExportTo(fields, document.namespace);
  if (visibility !== undefined && visibility.length > 0) {
    fields.tellNoMeaning("exportTo", "hosts mean the same to callers of every namespace");
  }
  return {
    document,
    fields,
    hosts,
    ports,
    isInternal: location === "MESH_INTERNAL",
    resolution,
    endpoints,
    selector,
    subjectAltNames: fields.texts("subjectAltNames") ?? [],
    visibility,
  };
};

const readHosts = (fields: EntryFields): readonly string[] => {
  const hosts = fields.texts("hosts") ?? [];
  if (hosts.length === 0) fields.refuse("hosts", "a ServiceEntry needs a host");
  for (const [at, host] of hosts.entries()) {
    const wrong = host === "*" ? '"*" would be every host' : whyNoHost(host, { wildcard: true });
    if (wrong !== undefined) fields.refuse("hosts", wrong, at);
  }
  return [...new Set(hosts.map((host) => host.toLowerCase().replace(/\.$/, "")))];
};

const readPorts = (fields: EntryFields): readonly EntryPort[] => {
  const names = new Set<string>();
  const numbers = new Set<number>();
  return (fields.messages("ports", portMessage) ?? []).flatMap((each): readonly EntryPort[] => {
    const name = each.text("name") ?? "";
    const number = each.integer("number") ?? 0;
    const targetPort = each.integer("targetPort") || number;
    const protocol = each.text("protocol") ?? "";
    const spoken = spokenIn(protocol, number);
    if (spoken === undefined) each.refuse("protocol", `"${protocol}" is no protocol that Istio knows`);
    if (!isPortName(name)) each.refuse("name", `"${name}" is no name of a port`);
    if (names.has(name)) each.refuse("name", `"${name}" is there twice`);
    if (numbers.has(number)) each.refuse("number", `${number} is there twice`);
    if (number < 1 || number > 65_535) each.refuse("number", "a port is a number from 1 to 65535");
    if (targetPort < 0 || targetPort > 65_535) each.refuse("targetPort", "a port is a number from 1 to 65535");
    names.add(name);
    numbers.add(number);
    const isHttp2 = ["HTTP2", "GRPC"].includes(protocol.toUpperCase());
    return spoken === undefined ? [] : [{ number, name, targetPort, spoken, isHttp2 }];
  });
};

const HTTPS_PORT = 443;

/** What Istio takes a port's protocol for; where it says none, what a call speaks there, which is HTTP. */
const spokenIn = (protocol: string, number: number): SpokenOn | undefined => {
  switch (protocol.toUpperCase()) {
    case "":
      return number === HTTPS_PORT ? "tls" : "http";
    case "HTTP":
    case "HTTP2":
    case "GRPC":
    case "GRPC-WEB":
    case "HTTP_PROXY":
      return "http";
    case "HTTPS":
    case "TLS":
      return "tls";
    case "TCP":
    case "UDP":
    case "MONGO":
    case "REDIS":
    case "MYSQL":
      return "other";
    default:
      return undefined;
  }
};

const checkAddresses = (fields: EntryFields, resolution: ServiceEntry["resolution"]): void => {
  const addresses = fields.texts("addresses") ?? [];
  for (const [at, address] of addresses.entries()) {
    const [ip = "", mask, ...rest] = address.split("/");
    const version = isIP(ip);
    const bits = mask === undefined ? 0 : /^\d{1,3}$/.test(mask) ? Number(mask) : Number.NaN;
    if (version === 0 || rest.length > 0 || !(bits <= (version === 4 ? 32 : 128))) {
      fields.refuse("addresses", `"${address}" is no IP address and no range of them`, at);
    } else if (mask !== undefined && resolution !== "NONE" && resolution !== "STATIC") {
      fields.refuse("addresses", `"${address}" is a range: only the resolutions NONE and STATIC have them`, at);
    }
  }
};

const checkEndpoints = (
  fields: EntryFields,
  { resolution, hosts, ports, endpoints }: Pick<ServiceEntry, "resolution" | "hosts" | "ports" | "endpoints">,
): void => {
  const names = new Set(ports.map(({ name }) => name));
  const mayHaveNone = resolution === "NONE" || resolution === "DYNAMIC_DNS";
  if (mayHaveNone && endpoints.length > 0) fields.refuse("endpoints", `resolution ${resolution} has no endpoints`);
  if (resolution === "DNS_ROUND_ROBIN" && endpoints.length > 1) {
    fields.refuse("endpoints", "resolution DNS_ROUND_ROBIN has one endpoint at most");
  }
  if (endpoints.some(({ isSocket }) => isSocket)) {
    if (resolution !== "STATIC") fields.refuse("endpoints", "a socket needs resolution STATIC");
    if (ports.length !== 1) fields.refuse("ports", "an endpoint that is a socket needs exactly one port");
  }
  for (const [at, { address, ports: named }] of endpoints.entries()) {
    for (const name of Object.keys(named)) {
      if (!names.has(name)) fields.refuse("endpoints", `there is no port "${name}"`, at, "ports", name);
    }
    if (resolution === "STATIC" && address !== undefined && isIP(address) === 0) {
      fields.refuse("endpoints", `"${address}" is no IP address: resolution STATIC asks nobody`, at, "address");
    }
  }
  const isDns = resolution === "DNS" || resolution === "DNS_ROUND_ROBIN";
  for (const [at, host] of hosts.entries()) {
    if (isDns && endpoints.length === 0 && fields.raw("workloadSelector") === undefined && host.startsWith("*")) {
      fields.refuse("hosts", `"${host}" cannot be looked up: name endpoints`, at);
    }
    if (resolution === "DYNAMIC_DNS" && !host.startsWith("*")) {
      fields.refuse("hosts", "resolution DYNAMIC_DNS is for hosts with a wildcard", at);
    }
  }
};
