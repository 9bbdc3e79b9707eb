import { type ServiceKey, serviceKey } from "@tulle/policy";
import type { Fields, FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { TranslationContext } from "../translation-context.ts";
import { isKnown } from "./backend-ref.ts";
import { type AcceptedReason, accepted, notAccepted, type Statuses } from "./condition.ts";
import { checkCount, checkDistinct } from "./field-forms.ts";

/** The Gateway API's LocalPolicyTargetReferenceWithSectionName. */
export const policyTargetMessage: Message<"group" | "kind" | "name" | "sectionName"> = message(
  "LocalPolicyTargetReference",
  {
    group: to("the Service that is meant"),
    kind: to("the Service that is meant"),
    name: to("the Service that is meant"),
    sectionName: to("the Service that is meant: a member listens once for all ports"),
  },
);

/** A service that a policy is attached to. */
export interface PolicyTarget {
  readonly service: ServiceKey;
  readonly document: SourceDocument;
}

/** Why policies are not accepted for targets, though their documents are read; filled in until statuses are read. */
export type Rejections = Map<PolicyTarget, { readonly reason: AcceptedReason; readonly message: string }>;

/** Most targets of a policy (Gateway API). */
const MOST_TARGETS = 16;

/** Reads the services that a policy is attached to, and tells what became of it for each. */
export const readTargets = (
  fields: Fields<"targetRefs">,
  context: TranslationContext,
  statuses: Statuses,
  rejections: Rejections,
): readonly PolicyTarget[] => {
  const written = fields.messages("targetRefs", policyTargetMessage) ?? [];
  if (written.length === 0) fields.refuse("targetRefs", "a policy needs a target");
  checkCount(fields, "targetRefs", written, MOST_TARGETS);
  const keyOf = (
    each: (typeof written)[number],
    ...parts: readonly ("group" | "kind" | "name" | "sectionName")[]
  ): string => JSON.stringify(parts.map((part) => each.raw(part) ?? ""));
  const named = written.map((each) => keyOf(each, "group", "kind", "name"));
  checkDistinct(
    fields,
    "targetRefs",
    written.map((each) => keyOf(each, "group", "kind", "name", "sectionName")),
  );
  for (const [at, each] of written.entries()) {
    const others = written.filter((_, other) => named[other] === named[at]);
    if (others.some((other) => other.has("sectionName") !== each.has("sectionName"))) {
      each.refuse("name", "the target is there twice: every reference to it needs a section");
    }
  }
  return written.flatMap((each) => readTarget(each, context, statuses, rejections));
};

const readTarget = (
  fields: FieldsOf<typeof policyTargetMessage>,
  context: TranslationContext,
  statuses: Statuses,
  rejections: Rejections,
): readonly PolicyTarget[] => {
  const { document } = fields;
  const [group, kind, name] = [fields.text("group") ?? "", fields.text("kind") ?? "", fields.text("name") ?? ""];
  if (kind === "") fields.refuse("kind", "a target needs a kind");
  if (name === "") fields.refuse("name", "a target needs a name");
  if (group !== "" || kind !== "Service") {
    fields.tellNoMeaning("kind", `a policy is attached to Services, not to ${kind}/${name}`);
    return [];
  }
  const service = serviceKey(document.namespace, name);
  const target: PolicyTarget = { service, document };
  const section = fields.text("sectionName") || undefined;
  const missing = missingOf(context, service, section);
  if (missing === undefined && section !== undefined) {
    fields.warn("sectionName", "it holds for the whole service: an instance listens once for all ports");
  }
  if (missing !== undefined) fields.warn("name", missing);
  const place = `Service/${service}${section === undefined ? "" : `:${section}`}`;
  context.statuses.push(
    statuses.under(document, place, () => {
      if (missing !== undefined) return notAccepted("TargetNotFound", missing);
      const rejection = rejections.get(target);
      return rejection === undefined ? accepted : notAccepted(rejection.reason, rejection.message);
    }),
  );
  return missing === undefined ? [target] : [];
};

const missingOf = (
  context: TranslationContext,
  service: ServiceKey,
  section: string | undefined,
): string | undefined => {
  if (!isKnown(context, service)) return `there is no Service ${service}`;
  const ports = context.catalog.services.get(service)?.ports;
  return section === undefined || ports === undefined || ports.some(({ name }) => name === section)
    ? undefined
    : `Service ${service} has no port of the name "${section}"`;
};

/** Of several policies for a service the first of these counts, and the others are told to be in conflict. */
export const firstOfEach = <T extends { readonly target: PolicyTarget }>(
  policies: readonly T[],
  rejections: Rejections,
): readonly T[] => {
  const first = new Map<ServiceKey, T>();
  for (const each of policies) {
    const { service } = each.target;
    const winner = first.get(service);
    if (winner === undefined) first.set(service, each);
    else if (winner.target.document !== each.target.document) {
      const { namespace, name } = winner.target.document;
      rejections.set(each.target, { reason: "Conflicted", message: `${namespace}/${name} is for the same service` });
    }
  }
  return [...first.values()];
};
