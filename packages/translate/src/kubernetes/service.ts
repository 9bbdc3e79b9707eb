import { type ServiceKey, serviceKey } from "@tulle/policy";
import type { CatalogService, ServicePort } from "../catalog.ts";
import { Fields } from "../fields.ts";
import type { Findings } from "../finding.ts";
import { ignored, message, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";

const service = message(
  "Service",
  {
    apiVersion: to("the kind of document"),
    kind: to("the kind of document"),
    metadata: to("name and namespace of the Service policy"),
    spec: to("Service"),
    status: ignored("written by the cluster"),
  },
  "ignored",
);

const spec = message(
  "ServiceSpec",
  {
    selector: to("the workloads whose service accounts may answer"),
    ports: to("port, and the names of ports in other documents"),
  },
  "ignored",
);

const portMessage = message(
  "ServicePort",
  {
    name: to("the port's name in other documents; its prefix tells the protocol"),
    port: to("Service.port"),
    targetPort: to("the port's name in other documents"),
    appProtocol: to("Service.protocol"),
    protocol: ignored("HTTP is carried over TCP alone"),
  },
  "ignored",
);

/** Kubernetes' Service. */
export const serviceKind: SourceKind = {
  group: "",
  kind: "Service",
  versions: ["v1"],
  messages: [service, spec, portMessage],
};

/** Reads what a Service tells of names and ports. */
export const readService = (document: SourceDocument, findings: Findings): readonly [ServiceKey, CatalogService] => {
  const fields = new Fields(document.value, service, document, [], findings).message("spec", spec);
  const key = serviceKey(document.namespace, document.name);
  const ports = fields?.messages("ports", portMessage)?.flatMap((port) => readPort(port)) ?? [];
  return [key, { key, ports, selector: fields?.textMap("selector"), document }];
};

const readPort = (fields: Fields<keyof typeof portMessage.fields>): readonly ServicePort[] => {
  const port = fields.integer("port");
  if (port === undefined) return [];
  const name = fields.text("name");
  const target = fields.raw("targetPort");
  return [
    {
      name,
      port,
      protocol: (fields.text("appProtocol") ?? name?.split("-")[0])?.toLowerCase(),
      targetPort: typeof target === "string" || typeof target === "number" ? target : port,
    },
  ];
};
