import type { AuthenticationPolicy, PolicyPath } from "@tulle/policy";
import { documentMessage } from "../document-message.ts";
import { Fields } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { policyName } from "../policy-name.ts";
import { refuseUnsayable } from "../refuse-unsayable.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import type { Translator } from "../translator.ts";
import { claimToHeaderMessage, jwtHeaderMessage, jwtRuleMessage, readJwtRule } from "./jwt-rule.ts";
import { policySelectorMessage } from "./policy-selector.ts";
import { policyTargetMessage, readScope, refuseNulls } from "./policy-target.ts";

const spec: Message<"selector" | "targetRef" | "targetRefs" | "jwtRules"> = message("RequestAuthentication", {
  selector: to("Authentication.selector"),
  targetRef: to("Authentication.selector.service"),
  targetRefs: to("Authentication.selector.service"),
  jwtRules: to("Authentication.jwt"),
});

/** Istio's RequestAuthentication. */
export const requestAuthenticationKind: SourceKind = {
  group: "security.istio.io",
  kind: "RequestAuthentication",
  versions: ["v1", "v1beta1"],
  messages: [spec, policySelectorMessage, policyTargetMessage, jwtRuleMessage, jwtHeaderMessage, claimToHeaderMessage],
};

/**
 * RequestAuthentications become Authentication policies with rules about tokens. Their names have an ending, for a
 * PeerAuthentication of the same name becomes a policy of the same kind.
 */
export const requestAuthentications: Translator = {
  kinds: [requestAuthenticationKind],
  translate: (context) =>
    documentsOf(context, requestAuthenticationKind).flatMap((document) => {
      const policies = readDocument(document, context);
      for (const policy of policies) refuseUnsayable(policy, document, context.findings, placeInDocument);
      if (context.findings.refuses(document)) {
        const open = "tokens are not checked by it, and callers may fill the headers of its claims";
        context.findings.add("refused", document, ["spec"], `nothing of this is in force: ${open}`);
      }
      return policies.map((policy) => ({ policy, from: [document] }));
    }),
};

const readDocument = (document: SourceDocument, context: TranslationContext): readonly AuthenticationPolicy[] => {
  const whole = new Fields(document.value, documentMessage, document, [], context.findings);
  const fields = whole.message("spec", spec) ?? new Fields({}, spec, document, ["spec"], context.findings);
  const scope = readScope(fields, context, { decidesAccess: false });
  refuseNulls(fields, "jwtRules");
  const jwt = (fields.messages("jwtRules", jwtRuleMessage) ?? []).map(readJwtRule);
  if (scope.kind === "nobody" || jwt.length === 0) return [];
  const policyOf = (ending: string, selector: AuthenticationPolicy["selector"]): AuthenticationPolicy => ({
    kind: "Authentication",
    name: policyName(document.name, `${ending}-jwt`),
    namespace: document.namespace,
    ...(selector === undefined ? {} : { selector }),
    jwt,
    origin: document.place.origin,
  });
  if (scope.kind === "workloads") return [policyOf("", scope.selector)];
  const isAlone = scope.services.length === 1;
  return scope.services.map((service) => policyOf(isAlone ? "" : `-${service}`, { service }));
};

const placeInDocument = ([field, ...rest]: PolicyPath): PolicyPath => {
  if (field === "jwt") return ["spec", "jwtRules", ...rest];
  if (field === "selector") return ["spec", "selector"];
  return field === "name" || field === "namespace" ? ["metadata", field] : ["spec"];
};
