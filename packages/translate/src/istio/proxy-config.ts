import { documentMessage } from "../document-message.ts";
import { Fields } from "../fields.ts";
import { ignored, type Message, message, noMeaning } from "../message.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf } from "../translation-context.ts";
import type { Translator } from "../translator.ts";
import { policySelectorMessage, readPolicySelector } from "./policy-selector.ts";

const spec: Message<"selector" | "concurrency" | "environmentVariables" | "image"> = message("ProxyConfig", {
  selector: ignored("there are no proxies to select"),
  concurrency: noMeaning("there are no proxies, and Node's own threads are the application's matter"),
  environmentVariables: noMeaning("there are no proxies that would read them"),
  image: noMeaning("there are no proxies"),
});

/** Istio's ProxyConfig. */
export const proxyConfigKind: SourceKind = {
  group: "networking.istio.io",
  kind: "ProxyConfig",
  versions: ["v1beta1", "v1", "v1alpha3"],
  messages: [spec, policySelectorMessage],
};

/** ProxyConfigs become nothing: each field tells why. */
export const proxyConfigs: Translator = {
  kinds: [proxyConfigKind],
  translate: (context) => {
    for (const document of documentsOf(context, proxyConfigKind)) {
      const whole = new Fields(document.value, documentMessage, document, [], context.findings);
      const fields = whole.message("spec", spec);
      if (fields === undefined) continue;
      readPolicySelector(fields.message("selector", policySelectorMessage));
      const concurrency = fields.integer("concurrency");
      if (concurrency !== undefined && concurrency < 0)
        fields.refuse("concurrency", `${concurrency} is less than nothing`);
      fields.textMap("environmentVariables");
    }
    return [];
  },
};
