import type { WorkloadSelector } from "@tulle/policy";
import type { Fields, FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import { policySelectorMessage, readPolicySelector } from "./policy-selector.ts";

/** Istio's PolicyTargetReference. */
export const policyTargetMessage: Message<"group" | "kind" | "name" | "namespace"> = message("PolicyTargetReference", {
  group: to("which kind is meant"),
  kind: to("selector.service, of a Service"),
  name: to("selector.service, of a Service"),
  namespace: to("nothing: Istio refuses references into other namespaces"),
});

/** Which workloads a policy of Istio is for, and how it is written. */
export type PolicyScope =
  | { readonly kind: "workloads"; readonly selector: WorkloadSelector | undefined }
  /** By the names of Services. */
  | { readonly kind: "services"; readonly services: readonly string[] }
  /** Gateways alone, through which no call inside the mesh passes. */
  | { readonly kind: "nobody" };

/** The three ways in which Istio's documents say which workloads they are for. */
type ScopeFields = Fields<"selector" | "targetRef" | "targetRefs">;

/** What a reference to something else than a Service means for a kind of document. */
export interface TargetRules {
  /** Whether access depends on the document: what nobody could enforce is refused then. */
  readonly decidesAccess: boolean;
}

/** Reads which workloads a document is for; of the three ways at most one may be used. */
export const readScope = (fields: ScopeFields, context: TranslationContext, rules: TargetRules): PolicyScope => {
  const written = (["selector", "targetRef", "targetRefs"] as const).filter((name) => isWritten(fields, name));
  const [, second] = written;
  if (second !== undefined) fields.refuse(second, `${written.join(" and ")} are set: set one of them`);
  const selector = readPolicySelector(fields.message("selector", policySelectorMessage));
  refuseNulls(fields, "targetRefs");
  const single = fields.message("targetRef", policyTargetMessage);
  const targets = [
    ...(single === undefined ? [] : [single]),
    ...(fields.messages("targetRefs", policyTargetMessage) ?? []),
  ];
  if (targets.length === 0) return { kind: "workloads", selector };
  const meant = targets.map((target) => readTarget(target, context, rules));
  if (meant.some((each) => each === "everything")) return { kind: "workloads", selector: undefined };
  const services = [...new Set(meant.flatMap((each) => (typeof each === "object" ? [each.service] : [])))];
  return services.length === 0 ? { kind: "nobody" } : { kind: "services", services };
};

const isWritten = (fields: ScopeFields, name: "selector" | "targetRef" | "targetRefs"): boolean => {
  const value = fields.raw(name);
  return value !== undefined && !(Array.isArray(value) && value.length === 0);
};

/** Refuses items that are null, for they would read as messages without fields. */
export const refuseNulls = <F extends string>(fields: Fields<F>, name: F): void => {
  const items = fields.raw(name);
  if (!Array.isArray(items)) return;
  for (const [at, item] of items.entries()) {
    if (item === null || item === undefined) fields.refuse(name, "an item is empty", at);
  }
};

type Target = { readonly service: string } | "everything" | "nobody";

const GATEWAY_API = "gateway.networking.k8s.io";
const WAYPOINT_CLASS = "istio-waypoint";

/** What Istio calls a waypoint that nobody named. */
const WAYPOINT = "waypoint";

const readTarget = (
  fields: FieldsOf<typeof policyTargetMessage>,
  context: TranslationContext,
  { decidesAccess }: TargetRules,
): Target => {
  const name = fields.text("name") ?? "";
  const kind = fields.text("kind") ?? "";
  const group = fields.text("group") ?? "";
  if (name === "") fields.refuse("name", "a reference needs a name");
  if ((fields.text("namespace") ?? "") !== "") {
    fields.refuse("namespace", "a reference stays in its own namespace: leave the field out");
  }
  const { namespace } = fields.document;
  const isRoot = namespace === context.rootNamespace;
  if (kind === "Service" && (group === "" || group === "core")) {
    if (isRoot) {
      fields.refuse(
        "name",
        `in the root namespace it would mean the services of this name in every namespace: move the document to the namespace of "${name}"`,
      );
    }
    return { service: name };
  }
  if (kind === "ServiceEntry" && group === "networking.istio.io") {
    const reason = "no proxy stands before a service outside the mesh";
    if (decidesAccess) fields.refuse("kind", `${reason}, so nobody could keep callers from it`);
    else fields.tellNoMeaning("kind", reason);
    return "nobody";
  }
  if (kind === "Gateway" && group === GATEWAY_API) {
    if (decidesAccess && isWaypoint(name, context, namespace)) {
      fields.refuse(
        "name",
        `"${name}" is a waypoint, and services answer for themselves here: name the services instead`,
      );
    } else fields.tellNoMeaning("kind", "calls inside the mesh pass no gateway");
    return "nobody";
  }
  if (kind === "GatewayClass" && group === GATEWAY_API) return readClass(fields, name, isRoot);
  fields.refuse(
    "kind",
    `"${[group, kind].filter((each) => each !== "").join("/")}" cannot be meant: write a Service, a ServiceEntry, a Gateway or a GatewayClass with their groups`,
  );
  return "nobody";
};

const readClass = (fields: FieldsOf<typeof policyTargetMessage>, name: string, isRoot: boolean): Target => {
  if (name !== WAYPOINT_CLASS || !isRoot) {
    fields.tellNoMeaning(
      "kind",
      isRoot ? "calls inside the mesh pass no gateway" : "Istio looks at it in the root namespace alone",
    );
    return "nobody";
  }
  fields.warn("kind", "every service answers for itself here, so this is for all services of the mesh");
  return "everything";
};

const isWaypoint = (name: string, context: TranslationContext, namespace: string): boolean => {
  const gateway = documentsOf(context, { group: GATEWAY_API, kind: "Gateway", versions: [], messages: [] }).find(
    (document) => document.name === name && document.namespace === namespace,
  );
  const { spec } = gateway?.value ?? {};
  const ofClass = typeof spec === "object" && spec !== null && "gatewayClassName" in spec ? spec.gatewayClassName : "";
  return gateway === undefined ? name === WAYPOINT : ofClass === WAYPOINT_CLASS;
};
