import { type ServiceKey, serviceKey } from "@tulle/policy";
import type { Fields } from "../fields.ts";
import { apiGroup } from "../source-document.ts";
import type { TranslationContext } from "../translation-context.ts";
import type { Statuses } from "./condition.ts";
import type { MayRefer } from "./reference-grant.ts";

/** What reading references needs. */
export interface ReferenceContext {
  readonly context: TranslationContext;
  readonly mayRefer: MayRefer;
  readonly statuses: Statuses;
}

type ReferenceFields = Fields<"group" | "kind" | "name" | "namespace" | "port">;

/** A service that a route leads to; `undefined` where the reference leads nowhere, which the document's status then tells. */
export const readServiceReference = (
  fields: ReferenceFields,
  { context, mayRefer, statuses }: ReferenceContext,
): ServiceKey | undefined => {
  const { document } = fields;
  const group = fields.text("group") ?? "";
  const kind = fields.text("kind") ?? "Service";
  const name = fields.text("name");
  const namespace = fields.text("namespace") || document.namespace;
  const port = fields.integer("port");
  if (name === undefined || name === "") {
    fields.refuse("name", "a reference needs a name");
    return undefined;
  }
  if (port !== undefined && (port < 1 || port > 65_535)) fields.refuse("port", `${port} is no port`);
  const lost = (reason: string, message: string): undefined => {
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
  if (ports !== undefined && ports.length > 0 && port !== undefined && !ports.some((each) => each.port === port)) {
    return lost("BackendNotFound", `Service ${name} has no port ${port}`);
  }
  return key;
};

/** Whether a service is there: the documents or the caller tell of it. Where nobody tells of any, all are taken to be. */
export const isKnown = ({ catalog, services }: TranslationContext, key: ServiceKey): boolean => {
  if (catalog.services.has(key) || services?.has(key) === true) return true;
  return services === undefined && catalog.services.size === 0;
};
