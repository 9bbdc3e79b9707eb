import { documentMessage } from "../document-message.ts";
import { Fields } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";

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
  const grants = documentsOf(context, referenceGrantKind).map((document): Grant => {
    const fields = new Fields(document.value, documentMessage, document, [], context.findings).message("spec", spec);
    return {
      namespace: document.namespace,
      from: (fields?.messages("from", from) ?? []).map((each) => ({
        group: each.text("group") ?? "",
        kind: each.text("kind") ?? "",
        namespace: each.text("namespace") ?? "",
      })),
      to: (fields?.messages("to", target) ?? []).map((each) => ({
        group: each.text("group") ?? "",
        kind: each.text("kind") ?? "",
        name: each.text("name") || undefined,
      })),
    };
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
