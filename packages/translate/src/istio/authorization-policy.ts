import type { AccessAction, AccessPolicy, PolicyPath } from "@tulle/policy";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { policyName } from "../policy-name.ts";
import { refuseUnsayable } from "../refuse-unsayable.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import type { TranslatedPolicy, Translator } from "../translator.ts";
import {
  asksForRemoteAddress,
  authorizationRuleMessage,
  conditionMessage,
  fromMessage,
  operationMessage,
  pathInRule,
  readAuthorizationRule,
  sourceMessage,
  toMessage,
} from "./authorization-rule.ts";
import { providersOf } from "./mesh-config.ts";
import { policySelectorMessage } from "./policy-selector.ts";
import { policyTargetMessage, readScope } from "./policy-target.ts";

const spec: Message<"selector" | "targetRef" | "targetRefs" | "action" | "provider" | "rules"> = message(
  "AuthorizationPolicy",
  {
    selector: to("Access.selector"),
    targetRef: to("Access.selector.service"),
    targetRefs: to("Access.selector.service"),
    action: to("Access.action"),
    provider: to("Access.authorizer"),
    rules: to("Access.rules"),
  },
);

const providerMessage: Message<"name"> = message("AuthorizationPolicy.ExtensionProvider", {
  name: to("Access.authorizer"),
});

/** Istio's AuthorizationPolicy. */
export const authorizationPolicyKind: SourceKind = {
  group: "security.istio.io",
  kind: "AuthorizationPolicy",
  versions: ["v1", "v1beta1"],
  messages: [
    spec,
    policySelectorMessage,
    policyTargetMessage,
    providerMessage,
    authorizationRuleMessage,
    fromMessage,
    sourceMessage,
    toMessage,
    operationMessage,
    conditionMessage,
  ],
};

/** AuthorizationPolicies become Access policies. */
export const authorizationPolicies: Translator = {
  kinds: [authorizationPolicyKind],
  translate: (context) =>
    documentsOf(context, authorizationPolicyKind).flatMap((document) => {
      const policies = readDocument(document, context);
      for (const policy of policies) {
        refuseUnsayable(policy, document, context.findings, placeInDocument);
      }
      if (context.findings.refuses(document)) tellWhatIsOpen(document, context);
      return policies.map((policy) => ({ policy, from: [document] }) satisfies TranslatedPolicy);
    }),
};

const actions: Readonly<Record<string, AccessAction>> = {
  ALLOW: "allow",
  DENY: "deny",
  AUDIT: "audit",
  CUSTOM: "custom",
};

const readDocument = (document: SourceDocument, context: TranslationContext): readonly AccessPolicy[] => {
  const whole = new Fields(document.value, documentMessage, document, [], context.findings);
  const fields = whole.message("spec", spec) ?? new Fields({}, spec, document, ["spec"], context.findings);
  const written = fields.oneOf("action", ["ALLOW", "DENY", "AUDIT", "CUSTOM"]) ?? "ALLOW";
  const action = actions[written] ?? "allow";
  const scope = readScope(fields, context, { decidesAccess: true });
  refuseNullParts(fields);
  const writtenRules = fields.messages("rules", authorizationRuleMessage) ?? [];
  const rules = writtenRules.flatMap((rule) => readAuthorizationRule(rule, action) ?? []);
  if (writtenRules.length === 0 && (action === "deny" || action === "custom")) {
    fields.refuse("rules", `${written} without rules never happens: write an empty rule ({}) for every call`);
  }
  const authorizer = readProvider(fields, action, context);
  const isDryRun = readDryRun(fields, document, action);
  if (rules.some(asksForRemoteAddress)) {
    fields.warn(
      "rules",
      "the first caller's address is the connection's own unless Mesh.trustedProxies says otherwise",
    );
  }
  if (scope.kind === "nobody") return [];
  if (rules.length === 0 && action === "audit") {
    fields.warn("rules", "AUDIT without rules notes nothing");
    return [];
  }
  const policyOf = (name: string, selector: AccessPolicy["selector"]): AccessPolicy => ({
    kind: "Access",
    name,
    namespace: document.namespace,
    ...(selector === undefined ? {} : { selector }),
    action,
    ...(authorizer === undefined ? {} : { authorizer }),
    ...(isDryRun ? { mode: "dry-run" } : {}),
    ...(rules.length === 0 ? {} : { rules }),
    origin: document.place.origin,
  });
  if (scope.kind === "workloads") return [policyOf(policyName(document.name), scope.selector)];
  const isAlone = scope.services.length === 1;
  return scope.services.map((service) =>
    policyOf(policyName(document.name, isAlone ? "" : `-${service}`), { service }),
  );
};

/** Whatever is written as nothing would be dropped on its way, and the rule would then mean more than its author saw. */
const refuseNullParts = (fields: FieldsOf<typeof spec>): void => {
  for (const path of waysToNull(fields.raw("rules"), [])) {
    fields.refuse("rules", "an empty value would mean everything: leave it out if that is meant", ...path);
  }
};

/** Deeper than any rule of Istio. */
const DEEPEST = 8;

const waysToNull = (value: unknown, path: PolicyPath): readonly PolicyPath[] => {
  if (value === null) return [path];
  if (typeof value !== "object" || path.length > DEEPEST) return [];
  return Array.isArray(value)
    ? value.flatMap((item: unknown, at) => waysToNull(item, [...path, at]))
    : Object.entries(value).flatMap(([name, item]) => waysToNull(item, [...path, name]));
};

const readProvider = (
  fields: FieldsOf<typeof spec>,
  action: AccessAction,
  context: TranslationContext,
): string | undefined => {
  const provider = fields.message("provider", providerMessage);
  const name = provider?.text("name") ?? "";
  if (action !== "custom") {
    if (provider !== undefined) fields.refuse("provider", "nobody is asked but by the action CUSTOM");
    return undefined;
  }
  if (name === "") {
    fields.refuse("provider", "CUSTOM needs the name of who is asked", "name");
    return undefined;
  }
  const providers = providersOf(context);
  const known = providers?.get(name);
  if (providers !== undefined && known === undefined) {
    fields.refuse("provider", `the mesh's configuration has no extension provider "${name}"`, "name");
  } else if (known !== undefined && "unusable" in known) {
    fields.refuse("provider", `"${name}" cannot be asked: ${known.unusable}`, "name");
  }
  return name;
};

const DRY_RUN = "istio.io/dry-run";
const yes = ["1", "t", "T", "true", "TRUE", "True"];
const no = ["0", "f", "F", "false", "FALSE", "False"];

const readDryRun = (fields: FieldsOf<typeof spec>, document: SourceDocument, action: AccessAction): boolean => {
  const { metadata } = document.value;
  const written =
    typeof metadata === "object" && metadata !== null && "annotations" in metadata ? metadata.annotations : undefined;
  const isThere = typeof written === "object" && written !== null && DRY_RUN in written;
  if (!isThere) return false;
  const value = document.annotations[DRY_RUN];
  const refuse = (reason: string): void => fields.refuse("action", `the annotation ${DRY_RUN} ${reason}`);
  if (value === undefined || !(yes.includes(value) || no.includes(value))) refuse('is neither "true" nor "false"');
  if (action === "audit" || action === "custom") refuse("is for ALLOW and DENY alone");
  return value !== undefined && yes.includes(value);
};

/** A refused document is not in force, which for access is more than a missing comfort. */
const tellWhatIsOpen = (document: SourceDocument, { findings }: TranslationContext): void => {
  const { spec: written } = document.value;
  const action =
    typeof written === "object" && written !== null && "action" in written && typeof written.action === "string"
      ? written.action
      : "ALLOW";
  const open =
    action === "ALLOW"
      ? "where no other ALLOW selects a service, everybody may call it"
      : `calls that it would stop are not stopped by it`;
  findings.add("refused", document, ["spec"], `nothing of this ${action} is in force: ${open}`);
};

const placeInDocument = (path: PolicyPath): PolicyPath => {
  const [field, at, ...rest] = path;
  if (field === "rules") return at === undefined ? ["spec", "rules"] : ["spec", "rules", at, ...pathInRule(rest)];
  if (field === "authorizer") return ["spec", "provider", "name"];
  if (field === "selector") return ["spec", "selector"];
  return field === "name" || field === "namespace" ? ["metadata", field] : ["spec"];
};
