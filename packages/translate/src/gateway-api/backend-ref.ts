import { type ServiceKey, serviceKey } from "@tulle/policy";
import type { Fields } from "../fields.ts";
import { apiGroup, type SourceDocument } from "../source-document.ts";
import type { TranslationContext } from "../translation-context.ts";
import type { ResolvedReason, Statuses } from "./condition.ts";
import { readPort, wrongNamespace } from "./field-forms.ts";
import type { MayRefer } from "./reference-grant.ts";

/** What reading references needs. */
export interface ReferenceContext {
  readonly context: TranslationContext;
  readonly mayRefer: MayRefer;
  readonly statuses: Statuses;
  /** Whose services a policy may name short: those of the namespace that the policy will live in. */
  readonly home: string;
  /** Hears of each service that a document leads to. */
  reached(document: SourceDocument, service: ServiceKey): void;
}

type ReferenceFields = Fields<"group" | "kind" | "name" | "namespace" | "port">;

/** A service that a route leads to; `undefined` where the reference leads nowhere, which the document's status then tells. */
export const readServiceReference = (fields: ReferenceFields, references: ReferenceContext): ServiceKey | undefined => {
  const { document } = fields;
  const { context, mayRefer, statuses } = references;
  const group = fields.text("group") ?? "";
  const kind = fields.text("kind") ?? "Service";
  const name = fields.text("name");
  const namespace = fields.text("namespace") || document.namespace;
  const port = readPort(fields, "port");
  if (name === undefined || name === "") {
    fields.refuse("name", "a reference needs a name");
    return undefined;
  }
  const wrong = fields.has("namespace") ? wrongNamespace(namespace) : undefined;
  if (wrong !== undefined) fields.refuse("namespace", wrong);
  const lost = (reason: ResolvedReason, message: string): undefined => {
    statuses.unresolved(document, reason, message);
    fields.warn("name", message);
    return undefined;
  };
  if (group !== "" || kind !== "Service")
    return lost("InvalidKind", `a route leads to Services, not to ${kind}/${name}`);
  const source = { group: apiGroup(document), kind: document.kind, namespace: document.namespace };
  if (!mayRefer(source, { group, kind, namespace, name })) {
    return lost(
      "RefNotPermitted",
      `no ReferenceGrant of ${namespace} lets ${document.kind}s of ${document.namespace} lead to ${name}`,
    );
  }
  if (port === undefined) fields.refuse("port", "a reference to a Service needs a port");
  const key = serviceKey(namespace, name);
  if (!isKnown(context, key)) return lost("BackendNotFound", `there is no Service ${name} in ${namespace}`);
  const ports = context.catalog.services.get(key)?.ports;
  const target = ports?.find((each) => each.port === port);
  if (ports !== undefined && ports.length > 0 && port !== undefined && target === undefined) {
    return lost("BackendNotFound", `Service ${name} has no port ${port}`);
  }
  if (document.kind === "GRPCRoute" && webSockets.has(target?.protocol ?? "")) {
    return lost("UnsupportedProtocol", `port ${port} of Service ${name} speaks ${target?.protocol}, not gRPC`);
  }
  references.reached(document, key);
  return key;
};

/** Words of `appProtocol` that gRPC cannot be spoken under (GEP-1911). */
const webSockets: ReadonlySet<string> = new Set(["kubernetes.io/ws", "kubernetes.io/wss"]);

/** Whether a service is there: the documents or the caller tell of it. Where nobody tells of any, all are taken to be. */
export const isKnown = ({ catalog, services }: TranslationContext, key: ServiceKey): boolean => {
  if (catalog.services.has(key) || services?.has(key) === true) return true;
  return services === undefined && catalog.services.size === 0;
};
