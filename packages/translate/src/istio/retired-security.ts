import { Fields } from "../fields.ts";
import { type Message, message, refused, to } from "../message.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf } from "../translation-context.ts";
import type { Translator } from "../translator.ts";

const retired = (name: string, instead: string): Message<"apiVersion" | "kind" | "spec"> =>
  message(
    name,
    {
      apiVersion: to("the kind of document"),
      kind: to("the kind of document"),
      spec: refused(`Istio reads this kind no longer, and nothing of it would be in force: write ${instead}`),
    },
    "ignored",
  );

const kindOf = (group: string, kind: string, instead: string): SourceKind => ({
  group,
  kind,
  versions: ["v1alpha1"],
  messages: [retired(kind, instead)],
});

const AUTHORIZATION = "an AuthorizationPolicy of security.istio.io";
const AUTHENTICATION = "a PeerAuthentication and a RequestAuthentication of security.istio.io";

const kinds: readonly SourceKind[] = [
  kindOf("rbac.istio.io", "ClusterRbacConfig", AUTHORIZATION),
  kindOf("rbac.istio.io", "RbacConfig", AUTHORIZATION),
  kindOf("rbac.istio.io", "ServiceRole", AUTHORIZATION),
  kindOf("rbac.istio.io", "ServiceRoleBinding", AUTHORIZATION),
  kindOf("rbac.istio.io", "AuthorizationPolicy", AUTHORIZATION),
  kindOf("authentication.istio.io", "Policy", AUTHENTICATION),
  kindOf("authentication.istio.io", "MeshPolicy", AUTHENTICATION),
];

/** Kinds about access that Istio has taken away: refused, for to pass over them would leave open what they closed. */
export const retiredSecurity: Translator = {
  kinds,
  translate: (context) => {
    for (const kind of kinds) {
      const [table] = kind.messages;
      if (table === undefined) continue;
      for (const document of documentsOf(context, kind)) {
        new Fields(document.value, table, document, [], context.findings);
      }
    }
    return [];
  },
};
