import { isIP } from "node:net";
import type { CatalogWorkload } from "../catalog.ts";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import type { Findings } from "../finding.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { whyNoHost } from "./hosts.ts";
import { whyNoLabel } from "./workload-selector.ts";

/** Istio's WorkloadEntry, also as an endpoint of a ServiceEntry. */
export const workloadEntryMessage: Message<
  "address" | "ports" | "labels" | "network" | "locality" | "weight" | "serviceAccount"
> = message("WorkloadEntry", {
  address: to("addresses, of a service outside the mesh"),
  ports: to("addresses"),
  labels: to("the ServiceEntries that select it"),
  network: noMeaning("calls go to the address itself, and through no gateway between networks"),
  locality: noMeaning("members tell their locality when they join; addresses outside the mesh have none"),
  weight: noMeaning("members tell their weight when they join; addresses outside the mesh have none"),
  serviceAccount: to("Service.serviceAccounts, where it is selected"),
});

/** Istio's WorkloadEntry as a document. */
export const workloadEntryKind: SourceKind = {
  group: "networking.istio.io",
  kind: "WorkloadEntry",
  versions: ["v1", "v1beta1", "v1alpha3"],
  messages: [workloadEntryMessage],
};

/** Where a workload can be called. */
export interface Endpoint {
  /** An IP address or a name; `undefined` where only a gateway knows it, or where it is a socket of one machine. */
  readonly address: string | undefined;
  /** By the names of ports. */
  readonly ports: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string | undefined;
  /** It is a socket of one machine. */
  readonly isSocket: boolean;
}

const UNIX = "unix://";

/** Reads where a workload can be called, as strictly as Istio does. */
export const readEndpoint = (fields: FieldsOf<typeof workloadEntryMessage>): Endpoint => {
  const address = fields.text("address") ?? "";
  const isSocket = address.startsWith(UNIX);
  if (address === "" && !fields.has("network")) fields.refuse("address", "an endpoint needs an address");
  if (isSocket) {
    const path = address.slice(UNIX.length);
    if (!path.startsWith("/") || path.endsWith("/")) {
      fields.refuse("address", `"${path}" is no absolute path of a socket`);
    }
    if (fields.has("ports")) fields.refuse("ports", "a socket has no ports");
    fields.tellNoMeaning("address", "sockets of one machine are no addresses of the mesh");
  } else if (address !== "") {
    const wrong = isIP(address) === 0 ? whyNoHost(address, { wildcard: false }) : undefined;
    if (wrong !== undefined) fields.refuse("address", wrong);
  }
  for (const [key, value] of Object.entries(fields.textMap("labels") ?? {})) {
    const wrong = whyNoLabel(key, value);
    if (wrong !== undefined) fields.refuse("labels", wrong, key);
  }
  const weight = fields.integer("weight");
  if (weight !== undefined && weight < 0) fields.refuse("weight", `a weight is at least 0, not ${weight}`);
  return {
    address: isSocket || address === "" ? undefined : address,
    ports: readPorts(fields),
    labels: fields.textMap("labels") ?? {},
    serviceAccount: fields.text("serviceAccount") || undefined,
    isSocket,
  };
};

const readPorts = (fields: FieldsOf<typeof workloadEntryMessage>): Readonly<Record<string, number>> => {
  const ports: Record<string, number> = {};
  for (const [name, written] of Object.entries(fields.map("ports") ?? {})) {
    const port = typeof written === "number" || typeof written === "string" ? Number(written) : Number.NaN;
    if (!isPortName(name)) fields.refuse("ports", `"${name}" is no name of a port`, name);
    if (Number.isInteger(port) && port >= 1 && port <= 65_535) ports[name] = port;
    else fields.refuse("ports", "a port is a number from 1 to 65535", name);
  }
  return ports;
};

/** Whether a text is a name of a port, a label of DNS. */
export const isPortName = (name: string): boolean => /^[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/.test(name);

/** Reads a document: a workload that ServiceEntries select. */
export const readWorkloadEntry = (document: SourceDocument, findings: Findings): CatalogWorkload => {
  const whole = new Fields(document.value, documentMessage, document, [], findings);
  const fields =
    whole.message("spec", workloadEntryMessage) ?? new Fields({}, workloadEntryMessage, document, ["spec"], findings);
  const endpoint = readEndpoint(fields);
  const { labels, serviceAccount } = endpoint;
  return { namespace: document.namespace, labels: { ...document.labels, ...labels }, serviceAccount, endpoint };
};
