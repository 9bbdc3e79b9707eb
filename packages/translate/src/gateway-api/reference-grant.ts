import { documentMessage } from "../document-message.ts";
import { Fields } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import { checkCount, wrongNamespace } from "./field-forms.ts";

const spec: Message<"from" | "to"> = message("ReferenceGrantSpec", {
  from: to("whether a route of another namespace may lead to a service"),
  to: to("whether a route of another namespace may lead to a service"),
});

const from: Message<"group" | "kind" | "namespace"> = message("ReferenceGrantFrom", {
  group: to("whether a route may lead to a service"),
  kind: to("whether a route may lead to a service"),
  namespace: to("whether a route may lead to a service"),
});

const target: Message<"group" | "kind" | "name"> = message("ReferenceGrantTo", {
  group: to("whether a route may lead to a service"),
  kind: to("whether a route may lead to a service"),
  name: to("whether a route may lead to a service"),
});

/** The Gateway API's ReferenceGrant. */
export const referenceGrantKind: SourceKind = {
  group: "gateway.networking.k8s.io",
  kind: "ReferenceGrant",
  versions: ["v1", "v1beta1", "v1alpha2"],
  messages: [spec, from, target],
};

/** One end of a reference. */
export interface ReferenceEnd {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Whether a document may refer to something of another namespace. */
export type MayRefer = (from: Omit<ReferenceEnd, "name">, to: ReferenceEnd) => boolean;

interface Grant {
  readonly namespace: string;
  readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[];
  readonly to: readonly { readonly group: string; readonly kind: string; readonly name: string | undefined }[];
}

/** Reads all grants. Within a namespace no grant is needed. */
export const readGrants = (context: TranslationContext): MayRefer => {
  // A grant that is refused grants nothing.
  const grants = documentsOf(context, referenceGrantKind).flatMap((document) => {
    const grant = readGrant(document, context);
    return context.findings.refuses(document) ? [] : [grant];
  });
  return (source, end) =>
    source.namespace === end.namespace ||
    grants.some(
      (grant) =>
        grant.namespace === end.namespace &&
        grant.from.some(
          (each) => each.group === source.group && each.kind === source.kind && each.namespace === source.namespace,
        ) &&
        grant.to.some(
          (each) =>
            each.group === end.group && each.kind === end.kind && (each.name === undefined || each.name === end.name),
        ),
    );
};

/** Most entries of a list (Gateway API). */
const MOST_ENTRIES = 16;

const readGrant = (document: SourceDocument, context: TranslationContext): Grant => {
  const whole = new Fields(document.value, documentMessage, document, [], context.findings);
  const fields = whole.message("spec", spec);
  if (fields === undefined) whole.refuse("spec", "a ReferenceGrant needs its spec");
  const sources = fields?.messages("from", from) ?? [];
  const targets = fields?.messages("to", target) ?? [];
  for (const [name, entries] of [["from", sources] as const, ["to", targets] as const]) {
    if (fields !== undefined && entries.length === 0) fields.refuse(name, "at least one entry is needed");
    if (fields !== undefined) checkCount(fields, name, entries, MOST_ENTRIES);
  }
  return {
    namespace: document.namespace,
    from: sources.map((each) => ({
      group: each.text("group") ?? "",
      kind: needed(each, "kind"),
      namespace: readNamespace(each),
    })),
    to: targets.map((each) => ({
      group: each.text("group") ?? "",
      kind: needed(each, "kind"),
      name: each.text("name") || undefined,
    })),
  };
};

const needed = (fields: Fields<"kind">, name: "kind"): string => {
  const text = fields.text(name) ?? "";
  if (text === "") fields.refuse(name, `a ${name} is needed`);
  return text;
};

const readNamespace = (fields: Fields<"namespace">): string => {
  const namespace = fields.text("namespace") ?? "";
  const wrong = wrongNamespace(namespace);
  if (wrong !== undefined) fields.refuse("namespace", wrong);
  return namespace;
};
