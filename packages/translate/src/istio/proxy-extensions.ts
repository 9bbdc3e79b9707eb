import { documentMessage } from "../document-message.ts";
import { Fields } from "../fields.ts";
import { ignored, type Message, message, noMeaning, to } from "../message.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import type { Translator } from "../translator.ts";

const chosen = ignored("what it would choose workloads for has no meaning");

const envoyFilter: Message<"workloadSelector" | "targetRef" | "targetRefs" | "configPatches" | "priority"> = message(
  "EnvoyFilter",
  {
    workloadSelector: chosen,
    targetRef: chosen,
    targetRefs: chosen,
    configPatches: noMeaning("there is no Envoy to patch; a filter that decides who may call refuses the document"),
    priority: chosen,
  },
);

const wasmPlugin: Message<"phase" | "url" | "selector" | "targetRef" | "targetRefs" | "match"> = message(
  "WasmPlugin",
  {
    phase: to("nothing: a plugin for AUTHN or AUTHZ is refused"),
    url: noMeaning("there is no Envoy that would run it"),
    selector: chosen,
    targetRef: chosen,
    targetRefs: chosen,
    match: chosen,
  },
  "ignored",
);

const envoyFilterKind: SourceKind = {
  group: "networking.istio.io",
  kind: "EnvoyFilter",
  versions: ["v1alpha3"],
  messages: [envoyFilter],
};

const wasmPluginKind: SourceKind = {
  group: "extensions.istio.io",
  kind: "WasmPlugin",
  versions: ["v1alpha1"],
  messages: [wasmPlugin],
};

/** What is put into Envoy has no meaning here, but for what decides who may call: without it more would be allowed. */
export const proxyExtensions: Translator = {
  kinds: [envoyFilterKind, wasmPluginKind],
  translate: (context) => {
    readEnvoyFilters(context);
    readWasmPlugins(context);
    return [];
  },
};

/** Envoy's filters that keep callers out. */
const deciding =
  /envoy\.filters\.(?:http|network)\.(ext_authz|rbac|jwt_authn|oauth2|basic_auth|api_key_auth|client_ssl_auth)\b/;

const readEnvoyFilters = (context: TranslationContext): void => {
  for (const document of documentsOf(context, envoyFilterKind)) {
    const whole = new Fields(document.value, documentMessage, document, [], context.findings);
    const fields = whole.message("spec", envoyFilter);
    const patches = fields?.raw("configPatches");
    if (!Array.isArray(patches)) continue;
    for (const [at, patch] of patches.entries()) {
      const filter = deciding.exec(JSON.stringify(patch) ?? "")?.[1];
      if (filter === undefined) continue;
      fields?.refuse("configPatches", `${filter} decides who may call: write an AuthorizationPolicy instead`, at);
    }
  }
};

const readWasmPlugins = (context: TranslationContext): void => {
  for (const document of documentsOf(context, wasmPluginKind)) {
    const whole = new Fields(document.value, documentMessage, document, [], context.findings);
    const fields = whole.message("spec", wasmPlugin);
    const phase = fields?.oneOf("phase", ["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"]);
    if (phase !== "AUTHN" && phase !== "AUTHZ") continue;
    fields?.refuse(
      "phase",
      "it decides who may call, and nothing here would run it: write an AuthorizationPolicy instead",
    );
  }
};
