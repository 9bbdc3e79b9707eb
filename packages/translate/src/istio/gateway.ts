import { isIP } from "node:net";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import { ignored, type Message, message, noMeaning } from "../message.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf } from "../translation-context.ts";
import type { Translator } from "../translator.ts";
import { whyNoNamespacedHost } from "./namespaced-host.ts";
import { isPortName } from "./workload-entry.ts";

const spec: Message<"servers" | "selector"> = message("Gateway", {
  servers: noMeaning(
    "calls inside the mesh pass no gateway: keep the gateway at its edge, or let a service take its place",
  ),
  selector: ignored("there are no gateways to select"),
});

const serverMessage: Message<"port" | "bind" | "hosts" | "tls" | "defaultEndpoint" | "name"> = message("Server", {
  port: ignored("see servers"),
  bind: ignored("see servers"),
  hosts: ignored("see servers"),
  tls: ignored("see servers"),
  defaultEndpoint: ignored("see servers"),
  name: ignored("see servers"),
});

const serverPortMessage: Message<"number" | "protocol" | "name" | "targetPort"> = message("ServerPort", {
  number: ignored("see servers"),
  protocol: ignored("see servers"),
  name: ignored("see servers"),
  targetPort: ignored("see servers"),
});

const tlsFields = [
  "httpsRedirect",
  "mode",
  "serverCertificate",
  "privateKey",
  "caCertificates",
  "caCrl",
  "credentialName",
  "credentialNames",
  "caCertCredentialName",
  "tlsCertificates",
  "subjectAltNames",
  "verifyCertificateSpki",
  "verifyCertificateHash",
  "minProtocolVersion",
  "maxProtocolVersion",
  "cipherSuites",
] as const;

const tlsMessage: Message<(typeof tlsFields)[number]> = message(
  "ServerTLSSettings",
  // Each of the names has the same fate.
  Object.fromEntries(tlsFields.map((name) => [name, ignored("see servers")])) as Message<
    (typeof tlsFields)[number]
  >["fields"],
);

/** Istio's Gateway. */
export const gatewayKind: SourceKind = {
  group: "networking.istio.io",
  kind: "Gateway",
  versions: ["v1", "v1beta1", "v1alpha3"],
  messages: [spec, serverMessage, serverPortMessage, tlsMessage],
};

/** Gateways become nothing: calls inside the mesh pass none. They are checked as strictly as Istio does. */
export const gateways: Translator = {
  kinds: [gatewayKind],
  translate: (context) => {
    for (const document of documentsOf(context, gatewayKind)) {
      const whole = new Fields(document.value, documentMessage, document, [], context.findings);
      const fields = whole.message("spec", spec) ?? new Fields({}, spec, document, ["spec"], context.findings);
      fields.textMap("selector");
      const servers = fields.messages("servers", serverMessage) ?? [];
      if (servers.length === 0) fields.refuse("servers", "a Gateway needs a server");
      const names = new Set<string>();
      for (const server of servers) checkServer(server, names);
    }
    return [];
  },
};

const checkServer = (fields: FieldsOf<typeof serverMessage>, names: Set<string>): void => {
  const hosts = fields.texts("hosts") ?? [];
  if (hosts.length === 0) fields.refuse("hosts", "a server needs a host");
  for (const [at, host] of hosts.entries()) {
    const wrong = whyNoNamespacedHost(host, true);
    if (wrong !== undefined) fields.refuse("hosts", wrong, at);
  }
  const bind = fields.text("bind") ?? "";
  const isSocket = bind.startsWith("unix://");
  if (bind !== "" && !isSocket && isIP(bind) === 0) fields.refuse("bind", `"${bind}" is no IP address`);
  const protocol = checkPort(fields, isSocket, names);
  const tls = fields.message("tls", tlsMessage);
  const isTls = protocol === "HTTPS" || protocol === "TLS";
  if (isTls && tls === undefined) fields.refuse("tls", `a port of ${protocol} needs TLS settings`);
  if (tls === undefined) return;
  const beside = tlsFields.filter((name) => tls.has(name) && name !== "httpsRedirect");
  if (!isTls && protocol !== undefined && (protocol !== "HTTP" || beside.length > 0)) {
    fields.refuse("tls", `a port of ${protocol} has no TLS settings`);
  }
  if (isTls) checkTls(tls);
};

const protocols = [
  "HTTP",
  "HTTPS",
  "GRPC",
  "GRPC-WEB",
  "HTTP2",
  "MONGO",
  "TCP",
  "TLS",
  "UDP",
  "REDIS",
  "MYSQL",
  "HTTP_PROXY",
];

const checkPort = (
  server: FieldsOf<typeof serverMessage>,
  isSocket: boolean,
  names: Set<string>,
): string | undefined => {
  const fields = server.message("port", serverPortMessage);
  if (fields === undefined) {
    server.refuse("port", "a server needs a port");
    return undefined;
  }
  const protocol = fields.text("protocol")?.toUpperCase() ?? "";
  if (!protocols.includes(protocol)) fields.refuse("protocol", `"${protocol}" is no protocol of a gateway`);
  const number = fields.integer("number") ?? 0;
  if ((number < 1 || number > 65_535) && !(isSocket && number === 0)) {
    fields.refuse("number", "a port is a number from 1 to 65535");
  }
  const name = fields.text("name") ?? "";
  if (!isPortName(name)) fields.refuse("name", `"${name}" is no name of a port`);
  if (names.has(name)) fields.refuse("name", `"${name}" is there twice`);
  names.add(name);
  return protocol;
};

const modes = ["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"] as const;

const checkTls = (fields: FieldsOf<typeof tlsMessage>): void => {
  const mode = fields.oneOf("mode", modes) ?? "PASSTHROUGH";
  const files = ["serverCertificate", "privateKey", "caCertificates", "credentialName"] as const;
  if (mode === "ISTIO_MUTUAL") {
    for (const name of files) if (fields.has(name)) fields.refuse(name, "ISTIO_MUTUAL has certificates of its own");
  }
  if (mode !== "SIMPLE" && mode !== "MUTUAL" && mode !== "OPTIONAL_MUTUAL") return;
  if (fields.has("credentialName") || fields.has("credentialNames") || fields.has("tlsCertificates")) return;
  for (const name of ["serverCertificate", "privateKey"] as const) {
    if (!fields.has(name)) fields.refuse(name, `${mode} needs a certificate and its key`);
  }
  if (mode !== "SIMPLE" && !fields.has("caCertificates")) fields.refuse("caCertificates", `${mode} needs roots`);
};
