import { type ServiceKey, serviceKey } from "@tulle/policy";
import type { Fields, FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import type { TranslationContext } from "../translation-context.ts";
import { isKnown } from "./backend-ref.ts";
import { accepted, notAccepted, type Statuses } from "./condition.ts";
import { checkCount, readPort, wrongNamespace, wrongSectionName } from "./field-forms.ts";

/** The Gateway API's ParentReference. */
export const parentReferenceMessage: Message<"group" | "kind" | "namespace" | "name" | "sectionName" | "port"> =
  message("ParentReference", {
    group: to("Route.services"),
    kind: to("Route.services"),
    namespace: to("Route.services; match[].source.namespace where it is another one"),
    name: to("Route.services"),
    sectionName: to("match[].port: of a Service, a section is a port by its name"),
    port: to("match[].port"),
  });

/** One binding of a route to a service. */
export interface Parent {
  readonly service: ServiceKey;
  readonly port: number | undefined;
  /** The route lives elsewhere: it holds for callers of its own namespace alone. */
  readonly consumer: string | undefined;
}

/** The bindings that are refused though the document is not, with the reason. */
export type Conflicts = Map<Parent, string>;

type ParentFields = FieldsOf<typeof parentReferenceMessage>;

const GATEWAY_GROUP = "gateway.networking.k8s.io";

/** Most parents of a route (Gateway API). */
const MOST_PARENTS = 32;

/** Reads the services that a route is bound to, and tells what became of each binding. */
export const readParents = (
  fields: Fields<"parentRefs">,
  context: TranslationContext,
  statuses: Statuses,
  conflicts: Conflicts,
): readonly Parent[] => {
  const written = fields.messages("parentRefs", parentReferenceMessage) ?? [];
  checkCount(fields, "parentRefs", written, MOST_PARENTS);
  checkTwice(written);
  const parents = written.flatMap((each) => {
    const parent = readParent(each, context, statuses, conflicts);
    return parent === undefined ? [] : [parent];
  });
  if (written.every((each) => !isService(each))) {
    fields.tellNoMeaning("parentRefs", "it is bound to no Service, and calls inside the mesh pass no gateway");
  }
  return parents;
};

/** The Gateway API's own rules: of several references to one parent each names its own section or port. */
const checkTwice = (written: readonly ParentFields[]): void => {
  for (const [at, each] of written.entries()) {
    for (const earlier of written.slice(0, at)) {
      const same = (["group", "kind", "namespace", "name"] as const).every(
        (field) => partOf(each, field) === partOf(earlier, field),
      );
      if (!same) continue;
      if (each.has("port") !== earlier.has("port") || each.has("sectionName") !== earlier.has("sectionName")) {
        each.refuse("name", "the parent is there twice: every reference to it needs a port or a section");
      } else if (each.raw("port") === earlier.raw("port") && each.raw("sectionName") === earlier.raw("sectionName")) {
        each.refuse("name", "the parent is there twice, with the same port and section");
      }
    }
  }
};

const partOf = (fields: ParentFields, field: "group" | "kind" | "namespace" | "name"): unknown => {
  const defaults = { group: GATEWAY_GROUP, kind: "Gateway", namespace: "", name: "" };
  return fields.raw(field) ?? defaults[field];
};

const isService = (fields: ParentFields): boolean =>
  partOf(fields, "kind") === "Service" && partOf(fields, "group") === "";

const readParent = (
  fields: ParentFields,
  context: TranslationContext,
  statuses: Statuses,
  conflicts: Conflicts,
): Parent | undefined => {
  const { document } = fields;
  fields.text("kind");
  fields.text("group");
  const name = fields.text("name");
  const namespace = fields.text("namespace") || document.namespace;
  const port = readPort(fields, "port");
  const section = fields.text("sectionName") || undefined;
  if (name === undefined || name === "") {
    fields.refuse("name", "a parent needs a name");
    return undefined;
  }
  const wrong = fields.has("namespace") ? wrongNamespace(namespace) : undefined;
  if (wrong !== undefined) fields.refuse("namespace", wrong);
  const wrongSection = section === undefined ? undefined : wrongSectionName(section);
  if (wrongSection !== undefined) fields.refuse("sectionName", wrongSection);
  if (!isService(fields)) {
    if (fields.raw("kind") === "Service") fields.warn("kind", 'a Service is meant with group: "" beside it');
    return undefined;
  }
  const service = serviceKey(namespace, name);
  const found = findPort(context, service, port, section);
  const parent: Parent = {
    service,
    port: found.port,
    consumer: namespace === document.namespace ? undefined : document.namespace,
  };
  const place = `Service/${namespace}/${name}${port === undefined ? "" : `:${port}`}`;
  context.statuses.push(
    statuses.under(document, place, () => {
      if (found.missing !== undefined) return notAccepted("NoMatchingParent", found.missing);
      const conflict = conflicts.get(parent);
      return conflict === undefined ? accepted : notAccepted("Conflicted", conflict);
    }),
  );
  if (found.missing === undefined) return parent;
  fields.warn("name", found.missing);
  return undefined;
};

interface FoundPort {
  readonly port: number | undefined;
  /** What is not there. */
  readonly missing: string | undefined;
}

const findPort = (
  context: TranslationContext,
  service: ServiceKey,
  port: number | undefined,
  section: string | undefined,
): FoundPort => {
  const missing = (what: string): FoundPort => ({ port, missing: what });
  if (!isKnown(context, service)) return missing(`there is no Service ${service}`);
  const ports = context.catalog.services.get(service)?.ports ?? [];
  if (section === undefined) {
    const isThere = port === undefined || ports.length === 0 || ports.some((each) => each.port === port);
    return isThere ? { port, missing: undefined } : missing(`Service ${service} has no port ${port}`);
  }
  const named = ports.find((each) => each.name === section && (port === undefined || each.port === port));
  return named === undefined
    ? missing(
        `Service ${service} has no port of the name "${section}"${port === undefined ? "" : ` and number ${port}`}`,
      )
    : { port: named.port, missing: undefined };
};
