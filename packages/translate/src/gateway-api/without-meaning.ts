import { Fields } from "../fields.ts";
import { type Message, message, noMeaning } from "../message.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf } from "../translation-context.ts";
import type { Translator } from "../translator.ts";

const GROUP = "gateway.networking.k8s.io";
const EXPERIMENTAL = "gateway.networking.x-k8s.io";

const noGateway = "calls inside the mesh pass no gateway; what browsers reach is a member's own listener";
const noConnections = "connections are not routed: a member calls services in HTTP";

const documentOf = (kind: string, reason: string): Message<"spec"> =>
  message(kind, { spec: noMeaning(reason) }, "ignored");

const kindOf = (group: string, kind: string, versions: readonly string[], reason: string): SourceKind => ({
  group,
  kind,
  versions,
  messages: [documentOf(kind, reason)],
});

/** Kinds of the Gateway API that mean nothing where no proxy stands, each with the reason. */
const kinds: readonly SourceKind[] = [
  kindOf(GROUP, "GatewayClass", ["v1", "v1beta1", "v1alpha2"], noGateway),
  kindOf(GROUP, "Gateway", ["v1", "v1beta1", "v1alpha2"], noGateway),
  kindOf(GROUP, "ListenerSet", ["v1"], noGateway),
  kindOf(EXPERIMENTAL, "XListenerSet", ["v1alpha1"], noGateway),
  kindOf(EXPERIMENTAL, "XMesh", ["v1alpha1"], "which mesh it is, is said by whom a member joins"),
  kindOf(GROUP, "TCPRoute", ["v1", "v1alpha2"], noConnections),
  kindOf(GROUP, "UDPRoute", ["v1", "v1alpha2"], noConnections),
  kindOf(GROUP, "TLSRoute", ["v1", "v1alpha3", "v1alpha2"], `${noConnections}, over the mesh's own TLS`),
];

/** Tells of documents that mean nothing here. */
export const gatewayKindsWithoutMeaning: Translator = {
  kinds,
  translate: (context) => {
    for (const kind of kinds) {
      for (const document of documentsOf(context, kind)) {
        for (const each of kind.messages) new Fields(document.value, each, document, [], context.findings);
      }
    }
    return [];
  },
};
