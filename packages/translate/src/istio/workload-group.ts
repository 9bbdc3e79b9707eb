import { documentMessage } from "../document-message.ts";
import { Fields } from "../fields.ts";
import { type Message, message, noMeaning } from "../message.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf } from "../translation-context.ts";
import type { Translator } from "../translator.ts";

const workloadGroupMessage: Message<"metadata" | "template" | "probe"> = message("WorkloadGroup", {
  metadata: noMeaning("a process tells its labels when it joins"),
  template: noMeaning(
    "a process tells its ports and its account when it joins: give it a token for its service account",
  ),
  probe: noMeaning("callers ask how an instance is by healthCheck of its Service"),
});

/** Istio's WorkloadGroup. */
export const workloadGroupKind: SourceKind = {
  group: "networking.istio.io",
  kind: "WorkloadGroup",
  versions: ["v1", "v1beta1", "v1alpha3"],
  messages: [workloadGroupMessage],
};

/** WorkloadGroups become nothing: each field tells why. */
export const workloadGroups: Translator = {
  kinds: [workloadGroupKind],
  translate: (context) => {
    for (const document of documentsOf(context, workloadGroupKind)) {
      const whole = new Fields(document.value, documentMessage, document, [], context.findings);
      const fields = whole.message("spec", workloadGroupMessage);
      if (fields?.has("template") !== true) whole.refuse("spec", "a WorkloadGroup needs its template");
    }
    return [];
  },
};
