import type { AuthenticationPolicy, MtlsMode, PolicyPath } from "@tulle/policy";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { policyName } from "../policy-name.ts";
import { refuseUnsayable } from "../refuse-unsayable.ts";
import { documentKey, type SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import type { Translator } from "../translator.ts";
import { policySelectorMessage, readPolicySelector } from "./policy-selector.ts";

const spec: Message<"selector" | "mtls" | "portLevelMtls"> = message("PeerAuthentication", {
  selector: to("Authentication.selector"),
  mtls: to("Authentication.mtls.mode"),
  portLevelMtls: to("Authentication.mtls.ports"),
});

const mutualTlsMessage: Message<"mode"> = message("PeerAuthentication.MutualTLS", { mode: to("the mode") });

/** Istio's PeerAuthentication. */
export const peerAuthenticationKind: SourceKind = {
  group: "security.istio.io",
  kind: "PeerAuthentication",
  versions: ["v1", "v1beta1"],
  messages: [spec, policySelectorMessage, mutualTlsMessage],
};

/**
 * PeerAuthentications become Authentication policies with modes. Their names have an ending, for a RequestAuthentication of
 * the same name becomes a policy of the same kind.
 */
export const peerAuthentications: Translator = {
  kinds: [peerAuthenticationKind],
  translate: (context) => {
    const made = documentsOf(context, peerAuthenticationKind).map((document) => {
      const policy = readDocument(document, context);
      refuseUnsayable(policy, document, context.findings, placeInDocument);
      if (context.findings.refuses(document)) {
        const open = "the modes are those of other documents, or the mesh's own";
        context.findings.add("refused", document, ["spec"], `nothing of this is in force: ${open}`);
      }
      return { policy, document };
    });
    tellDisagreements(made, context);
    return made.map(({ policy, document }) => ({ policy, from: [document] }));
  },
};

interface Made {
  readonly policy: AuthenticationPolicy;
  readonly document: SourceDocument;
}

/** Istio takes the oldest of several for the same workloads; here the strictest holds, which lets nobody in whom Istio keeps out. */
const tellDisagreements = (made: readonly Made[], { findings }: TranslationContext): void => {
  const byScope = new Map<string, Made[]>();
  const scopeOf = ({ policy }: Made): string => JSON.stringify([policy.namespace, policy.selector]);
  for (const each of made) byScope.set(scopeOf(each), [...(byScope.get(scopeOf(each)) ?? []), each]);
  for (const each of made) {
    const { policy, document } = each;
    const other = byScope.get(scopeOf(each))?.find(({ policy: { mtls } }) => mtls?.mode !== policy.mtls?.mode);
    if (other === undefined) continue;
    const name = documentKey(other.document);
    findings.add("warning", document, ["spec"], `${name} is for the same workloads: the stricter of them holds`);
  }
};

type Mode = MtlsMode | "unset";

const readDocument = (document: SourceDocument, { findings }: TranslationContext): AuthenticationPolicy => {
  const whole = new Fields(document.value, documentMessage, document, [], findings);
  const fields = whole.message("spec", spec) ?? new Fields({}, spec, document, ["spec"], findings);
  const selector = readPolicySelector(fields.message("selector", policySelectorMessage));
  const mode = readMode(fields.message("mtls", mutualTlsMessage));
  const ports = readPorts(fields);
  if (ports !== undefined && selector === undefined) {
    fields.refuse("portLevelMtls", "ports mean something for single workloads only: set a selector");
  }
  return {
    kind: "Authentication",
    name: policyName(document.name, "-mtls"),
    namespace: document.namespace,
    ...(selector === undefined ? {} : { selector }),
    mtls: { mode, ...(ports === undefined ? {} : { ports }) },
    origin: document.place.origin,
  };
};

const readMode = (fields: FieldsOf<typeof mutualTlsMessage> | undefined): Mode => {
  const written = fields?.oneOf("mode", ["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]);
  switch (written) {
    case "STRICT":
      return "strict";
    case "PERMISSIVE":
      return "permissive";
    case "DISABLE":
      return "disable";
    default:
      return "unset";
  }
};

const MAX_PORT = 65_535;

const readPorts = (fields: FieldsOf<typeof spec>): Readonly<Record<string, Mode>> | undefined => {
  const written = fields.messageMap("portLevelMtls", mutualTlsMessage);
  if (written === undefined) return undefined;
  if (written.size === 0) fields.refuse("portLevelMtls", "there is no port in it: leave it out");
  const ports: Record<string, Mode> = {};
  for (const [port, mode] of written) {
    if (/^[1-9]\d{0,4}$/.test(port) && Number(port) <= MAX_PORT) ports[port] = readMode(mode);
    else fields.refuse("portLevelMtls", `"${port}" is not a port: write a whole number from 1 to ${MAX_PORT}`, port);
  }
  return ports;
};

const placeInDocument = ([field, part, ...rest]: PolicyPath): PolicyPath => {
  if (field === "mtls") return part === "ports" ? ["spec", "portLevelMtls", ...rest] : ["spec", "mtls"];
  if (field === "selector") return ["spec", "selector"];
  return field === "name" || field === "namespace" ? ["metadata", field] : ["spec"];
};
