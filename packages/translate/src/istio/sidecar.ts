import { isIP } from "node:net";
import type { MeshPolicy, OutboundMode } from "@tulle/policy";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import { ignored, type Message, message, noMeaning, to } from "../message.ts";
import { listIn, valueIn } from "../raw-value.ts";
import { documentKey, type SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { byAge, documentsOf, type TranslationContext } from "../translation-context.ts";
import type { TranslatedPolicy, Translator } from "../translator.ts";
import { destinationMessage } from "./destination.ts";
import { whyNoHost } from "./hosts.ts";
import { whyNoNamespacedHost } from "./namespaced-host.ts";
import { readWorkloadSelector, workloadSelectorMessage } from "./workload-selector.ts";

const spec: Message<"workloadSelector" | "ingress" | "egress" | "inboundConnectionPool" | "outboundTrafficPolicy"> =
  message("Sidecar", {
    workloadSelector: ignored("it says whom the rest is for"),
    ingress: noMeaning("a process listens by itself: its ports are those of mesh.listen"),
    egress: noMeaning(
      "members hear of the services that they call, and of no others; whom they may call is said by AuthorizationPolicies of the callees, and by Mesh.outbound",
    ),
    inboundConnectionPool: noMeaning(
      "a process takes what its server takes; callers are bound by connectionPool of the Service",
    ),
    outboundTrafficPolicy: to("Mesh.outbound, of the root namespace's Sidecar without a workloadSelector"),
  });

const listenerPort: Message<"number" | "protocol" | "name" | "targetPort"> = message("SidecarPort", {
  number: noMeaning("see ingress and egress"),
  protocol: noMeaning("see ingress and egress"),
  name: noMeaning("see ingress and egress"),
  targetPort: noMeaning("see ingress and egress"),
});

const outboundMessage: Message<"mode" | "egressProxy"> = message("OutboundTrafficPolicy", {
  mode: to("Mesh.outbound"),
  egressProxy: noMeaning(
    "calls to hosts outside the mesh go there directly; an ExternalService may name another address",
  ),
});

/** Istio's Sidecar. */
export const sidecarKind: SourceKind = {
  group: "networking.istio.io",
  kind: "Sidecar",
  versions: ["v1", "v1beta1", "v1alpha3"],
  messages: [spec, listenerPort, outboundMessage, workloadSelectorMessage],
};

type SidecarFields = FieldsOf<typeof spec>;

interface Sidecar {
  readonly document: SourceDocument;
  readonly fields: SidecarFields;
  readonly selects: boolean;
  readonly outbound: OutboundMode | undefined;
}

/** The outbound mode of the root namespace's Sidecar becomes the mesh's; all else tells why it has no meaning. */
export const sidecars: Translator = {
  kinds: [sidecarKind],
  translate: (context) => {
    const read = [...documentsOf(context, sidecarKind)].sort(byAge).map((document) => readSidecar(document, context));
    const root = read.filter(({ document, selects }) => document.namespace === context.rootNamespace && !selects);
    const [first] = root.filter(({ outbound }) => outbound !== undefined);
    for (const { document, fields, outbound } of read) {
      if (outbound === undefined || document === first?.document) continue;
      if (first !== undefined && root.some((each) => each.document === document)) {
        fields.warn("outboundTrafficPolicy", `${documentKey(first.document)} is older and has the outbound mode`);
      } else {
        fields.tellNoMeaning(
          "outboundTrafficPolicy",
          "the outbound mode is the same for the whole mesh: write Mesh.outbound",
        );
      }
    }
    return first === undefined ? [] : [meshOf(first)];
  },
};

const meshOf = ({ document, outbound = "allow-any" }: Sidecar): TranslatedPolicy => {
  const policy: MeshPolicy = { kind: "Mesh", name: "mesh", outbound, origin: document.place.origin };
  return { policy, from: [document], part: true };
};

const readSidecar = (document: SourceDocument, { findings }: TranslationContext): Sidecar => {
  const whole = new Fields(document.value, documentMessage, document, [], findings);
  const fields = whole.message("spec", spec) ?? new Fields({}, spec, document, ["spec"], findings);
  const selector = readWorkloadSelector(fields.message("workloadSelector", workloadSelectorMessage));
  const parts = ["ingress", "egress", "outboundTrafficPolicy", "inboundConnectionPool"] as const;
  if (!parts.some((part) => fields.has(part))) fields.refuse("egress", "a Sidecar says nothing: set a field");
  checkIngress(fields);
  checkEgress(fields);
  return {
    document,
    fields,
    selects: Object.keys(selector ?? {}).length > 0,
    outbound: readOutbound(fields.message("outboundTrafficPolicy", outboundMessage)),
  };
};

const readOutbound = (fields: FieldsOf<typeof outboundMessage> | undefined): OutboundMode | undefined => {
  if (fields === undefined) return undefined;
  const mode = fields.oneOf("mode", ["REGISTRY_ONLY", "ALLOW_ANY"]) ?? "REGISTRY_ONLY";
  const proxy = fields.message("egressProxy", destinationMessage);
  if (proxy !== undefined) {
    if (mode !== "ALLOW_ANY") fields.refuse("egressProxy", "an egressProxy needs the mode ALLOW_ANY");
    const wrong = whyNoHost(proxy.text("host") ?? "", { wildcard: false });
    if (wrong !== undefined) proxy.refuse("host", wrong);
    if (!proxy.has("port")) proxy.refuse("port", "an egressProxy needs its port");
  }
  return mode === "REGISTRY_ONLY" ? "registry-only" : "allow-any";
};

const checkIngress = (fields: SidecarFields): void => {
  const seen = new Set<number>();
  for (const [at, listener] of listIn(fields.raw("ingress")).entries()) {
    const port = valueIn(valueIn(listener, "port"), "number");
    if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535) {
      fields.refuse("ingress", "a listener needs its port, 1 to 65535", at, "port");
    } else if (seen.has(port)) fields.refuse("ingress", `port ${port} is there twice`, at, "port");
    else seen.add(port);
    const endpoint = valueIn(listener, "defaultEndpoint");
    if (endpoint !== undefined && endpoint !== "" && !isDefaultEndpoint(endpoint)) {
      fields.refuse("ingress", "write 127.0.0.1:port, 0.0.0.0:port or unix:///path", at, "defaultEndpoint");
    }
    checkBind(fields, "ingress", listener, at);
  }
};

const isDefaultEndpoint = (endpoint: unknown): boolean => {
  if (typeof endpoint !== "string") return false;
  if (endpoint.startsWith("unix://")) return /^unix:\/\/(?:\/|@).+/.test(endpoint);
  const [, port] = /^(?:127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\])?:(\d{1,5})$/.exec(endpoint) ?? [];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
};

const checkBind = (fields: SidecarFields, name: "ingress" | "egress", listener: unknown, at: number): void => {
  const bind = valueIn(listener, "bind");
  if (bind === undefined || bind === "") return;
  const isSocket = typeof bind === "string" && name === "egress" && bind.startsWith("unix://");
  if (typeof bind === "string" && (isSocket || isIP(bind) !== 0)) return;
  fields.refuse(name, `${JSON.stringify(bind)} is nothing to listen on: write an IP address`, at, "bind");
};

const checkEgress = (fields: SidecarFields): void => {
  const listeners = listIn(fields.raw("egress"));
  const seen = new Set<string>();
  for (const [at, listener] of listeners.entries()) {
    const port = valueIn(listener, "port");
    if (port === undefined && at < listeners.length - 1) {
      fields.refuse("egress", "a listener without a port is for all others: let it be the last", at);
    }
    const number = valueIn(port, "number");
    const place = `${String(valueIn(listener, "bind") ?? "")}:${String(number)}`;
    if (typeof number === "number" && number !== 0) {
      if (seen.has(place)) fields.refuse("egress", `port ${number} is there twice`, at, "port");
      seen.add(place);
    }
    checkBind(fields, "egress", listener, at);
    const hosts = listIn(valueIn(listener, "hosts"));
    if (hosts.length === 0) fields.refuse("egress", "a listener needs a host", at, "hosts");
    for (const [index, host] of hosts.entries()) {
      const wrong = typeof host === "string" ? whyNoNamespacedHost(host, false) : "a host is a text";
      if (wrong !== undefined) fields.refuse("egress", wrong, at, "hosts", index);
      if (hosts.indexOf(host) !== index) fields.refuse("egress", `${String(host)} is there twice`, at, "hosts", index);
    }
  }
};
