import { type ServiceKey, serviceKey } from "@tulle/policy";
import type { Fields, FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import { documentKey } from "../source-document.ts";
import type { TranslationContext } from "../translation-context.ts";
import { isKnown } from "./backend-ref.ts";
import { accepted, notAccepted, type Statuses } from "./condition.ts";

/** The Gateway API's ParentReference. */
export const parentReferenceMessage: Message<"group" | "kind" | "namespace" | "name" | "sectionName" | "port"> =
  message("ParentReference", {
    group: to("Route.services"),
    kind: to("Route.services"),
    namespace: to("Route.services; match[].source.namespace where it is another one"),
    name: to("Route.services"),
    sectionName: noMeaning("a Service has no sections that a route is bound to"),
    port: to("match[].port"),
  });

/** One binding of a route to a service. */
export interface Parent {
  readonly service: ServiceKey;
  readonly port: number | undefined;
  /** The route lives elsewhere: it holds for callers of its own namespace alone. */
  readonly consumer: string | undefined;
}

const GATEWAY_GROUP = "gateway.networking.k8s.io";

/** Reads the services that a route is bound to, and tells what became of each binding. */
export const readParents = (
  fields: Fields<"parentRefs">,
  context: TranslationContext,
  statuses: Statuses,
): readonly Parent[] => {
  const written = fields.messages("parentRefs", parentReferenceMessage) ?? [];
  const parents = written.flatMap((each) => {
    const parent = readParent(each, context, statuses);
    return parent === undefined ? [] : [parent];
  });
  if (written.length > 0 && parents.length === 0) {
    fields.tellNoMeaning("parentRefs", "it is bound to no Service, and calls inside the mesh pass no gateway");
  }
  return parents;
};

const readParent = (
  fields: FieldsOf<typeof parentReferenceMessage>,
  context: TranslationContext,
  statuses: Statuses,
): Parent | undefined => {
  const { document } = fields;
  const kind = fields.text("kind") ?? "Gateway";
  const group = fields.text("group") ?? GATEWAY_GROUP;
  const name = fields.text("name");
  const namespace = fields.text("namespace") || document.namespace;
  const port = fields.integer("port");
  if (name === undefined || name === "") {
    fields.refuse("name", "a parent needs a name");
    return undefined;
  }
  if (port !== undefined && (port < 1 || port > 65_535)) fields.refuse("port", `${port} is no port`);
  if (kind !== "Service" || group !== "") return undefined;
  const service = serviceKey(namespace, name);
  const known = isKnown(context, service);
  const condition = known ? accepted : notAccepted("NoMatchingParent", `there is no Service ${name} in ${namespace}`);
  context.statuses.push({
    document: documentKey(document),
    parent: `Service/${namespace}/${name}`,
    // Read when all is read: what the document refers to is known only then.
    get conditions() {
      return statuses.of(document, condition);
    },
  });
  if (!known) {
    fields.warn("name", condition.message);
    return undefined;
  }
  return { service, port, consumer: namespace === document.namespace ? undefined : document.namespace };
};
