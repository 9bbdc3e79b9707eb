import { type OutsideTls, splitServiceKey } from "@tulle/policy";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import { meshConfigMapKind } from "../istio/mesh-config.ts";
import { rootsIn } from "../kubernetes/config-map.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import type { Translator } from "../translator.ts";
import { Statuses } from "./condition.ts";
import { checkCount, wrongHostname, wrongHostnamePattern } from "./field-forms.ts";
import { firstOfEach, type PolicyTarget, policyTargetMessage, type Rejections, readTargets } from "./policy-target.ts";
import { byAgeAndName } from "./precedence.ts";

const spec: Message<"targetRefs" | "validation" | "options"> = message("BackendTLSPolicySpec", {
  targetRefs: to("the Service whose tls is meant"),
  validation: to("Service.tls"),
  options: noMeaning("they are other implementations' own"),
});

const validation: Message<"caCertificateRefs" | "wellKnownCACertificates" | "hostname" | "subjectAltNames"> = message(
  "BackendTLSPolicyValidation",
  {
    caCertificateRefs: to("Service.tls.ca"),
    wellKnownCACertificates: to("Service.tls without ca"),
    hostname: to("Service.tls.sni"),
    subjectAltNames: to("Service.tls.subjectAltNames"),
  },
);

const subjectAltName: Message<"type" | "hostname" | "uri"> = message("SubjectAltName", {
  type: to("Service.tls.subjectAltNames"),
  hostname: to("Service.tls.subjectAltNames"),
  uri: to("Service.tls.subjectAltNames"),
});

const certificateReference: Message<"group" | "kind" | "name"> = message("LocalObjectReference", {
  group: to("Service.tls.ca"),
  kind: to("Service.tls.ca"),
  name: to("Service.tls.ca: the entry ca.crt of the ConfigMap"),
});

/** The Gateway API's BackendTLSPolicy. */
export const backendTlsPolicyKind: SourceKind = {
  group: "gateway.networking.k8s.io",
  kind: "BackendTLSPolicy",
  versions: ["v1", "v1alpha3"],
  messages: [spec, policyTargetMessage, validation, subjectAltName, certificateReference],
};

/** BackendTLSPolicies say how instances outside the mesh prove themselves; members prove their identity of the mesh. */
export const backendTlsPolicies: Translator = {
  kinds: [backendTlsPolicyKind],
  translate: (context) => {
    const statuses = new Statuses(context.findings);
    const rejections: Rejections = new Map();
    const read = [...documentsOf(context, backendTlsPolicyKind)]
      .sort(byAgeAndName)
      .flatMap((document) => readPolicy(document, context, statuses, rejections))
      .filter(({ target }) => !context.findings.refuses(target.document));
    return firstOfEach(read, rejections).map(({ target, tls }) => ({
      policy: {
        kind: "Service",
        ...splitServiceKey(target.service),
        tls,
        origin: target.document.place.origin,
      },
      from: [target.document],
      part: true,
    }));
  },
};

interface ReadPolicy {
  readonly target: PolicyTarget;
  readonly tls: OutsideTls;
}

const readPolicy = (
  document: SourceDocument,
  context: TranslationContext,
  statuses: Statuses,
  rejections: Rejections,
): readonly ReadPolicy[] => {
  const whole = new Fields(document.value, documentMessage, document, [], context.findings);
  const fields = whole.message("spec", spec);
  if (fields === undefined) {
    whole.refuse("spec", "a BackendTLSPolicy needs its spec");
    return [];
  }
  statuses.refusedFor(document, "Invalid");
  const targets = readTargets(fields, context, statuses, rejections);
  const checks = fields.message("validation", validation);
  if (checks === undefined) {
    fields.refuse("validation", "a BackendTLSPolicy needs its validation");
    return [];
  }
  const roots = readRoots(checks, context, statuses);
  if (roots === "none") {
    const message = "none of its certificates is there: connections fail";
    for (const target of targets) rejections.set(target, { reason: "NoValidCACertificate", message });
  }
  const tls: OutsideTls = { mode: "simple", ...readNames(checks), ...trustIn(roots) };
  return targets.map((target) => ({ target, tls }));
};

type Roots = "system" | "none" | { readonly ca: string };

/** A name that nobody holds a certificate for (RFC 2606): what may not be trusted must fail, not be trusted otherwise. */
const NOBODY = "no-valid-ca-certificate.invalid";

const trustIn = (roots: Roots): Partial<OutsideTls> => {
  if (roots === "none") return { subjectAltNames: [NOBODY] };
  return roots === "system" ? {} : { ca: roots.ca };
};

const MOST_REFERENCES = 8;

const readRoots = (fields: FieldsOf<typeof validation>, context: TranslationContext, statuses: Statuses): Roots => {
  const references = fields.messages("caCertificateRefs", certificateReference) ?? [];
  checkCount(fields, "caCertificateRefs", references, MOST_REFERENCES);
  const written = fields.raw("wellKnownCACertificates");
  const wellKnown = written === "" ? undefined : fields.oneOf("wellKnownCACertificates", ["System"]);
  if (references.length > 0 && wellKnown !== undefined) {
    fields.refuse("wellKnownCACertificates", "caCertificateRefs are set too: set one");
  }
  if (references.length === 0) {
    if (wellKnown === undefined && (written === undefined || written === "")) {
      fields.refuse("caCertificateRefs", "caCertificateRefs or wellKnownCACertificates is needed");
    }
    return "system";
  }
  const found = references.flatMap((reference) => readRoot(reference, context, statuses));
  return found.length === 0 ? "none" : { ca: found.join("\n") };
};

const readRoot = (
  fields: FieldsOf<typeof certificateReference>,
  context: TranslationContext,
  statuses: Statuses,
): readonly string[] => {
  const { document } = fields;
  const [group, kind, name] = [fields.text("group") ?? "", fields.text("kind") ?? "", fields.text("name") ?? ""];
  if (kind === "") fields.refuse("kind", "a reference needs a kind");
  if (name === "") fields.refuse("name", "a reference needs a name");
  const lost = (reason: "InvalidKind" | "InvalidCACertificateRef", message: string): readonly string[] => {
    statuses.unresolved(document, reason, message);
    fields.warn("name", message);
    return [];
  };
  if (group !== "" || kind !== "ConfigMap") return lost("InvalidKind", `roots are read of ConfigMaps, not of ${kind}`);
  const source = documentsOf(context, meshConfigMapKind).find(
    (each) => each.name === name && each.namespace === document.namespace,
  );
  if (source === undefined) {
    return lost("InvalidCACertificateRef", `no document holds the ConfigMap ${name} of ${document.namespace}`);
  }
  const roots = rootsIn(source, context.findings)?.trim();
  return roots?.startsWith("-----BEGIN CERTIFICATE-----")
    ? [roots]
    : lost("InvalidCACertificateRef", `ConfigMap ${name} has no certificate in PEM in its entry ca.crt`);
};

const MOST_NAMES = 5;

const readNames = (fields: FieldsOf<typeof validation>): Pick<OutsideTls, "sni" | "subjectAltNames"> => {
  const sni = fields.text("hostname") ?? "";
  const wrong = wrongHostname(sni);
  if (wrong !== undefined) fields.refuse("hostname", sni === "" ? "a hostname is needed" : wrong);
  const names = fields.messages("subjectAltNames", subjectAltName) ?? [];
  checkCount(fields, "subjectAltNames", names, MOST_NAMES);
  const subjectAltNames = names.flatMap(readName);
  return { sni, ...(subjectAltNames.length === 0 ? {} : { subjectAltNames }) };
};

const readName = (fields: FieldsOf<typeof subjectAltName>): readonly string[] => {
  const type = fields.oneOf("type", ["Hostname", "URI"]);
  if (type === undefined) {
    if (!fields.has("type")) fields.refuse("type", "a name needs its type");
    return [];
  }
  const [field, other] = type === "Hostname" ? (["hostname", "uri"] as const) : (["uri", "hostname"] as const);
  const value = fields.text(field) ?? "";
  if (value === "") fields.refuse(field, `a name of the type ${type} needs it`);
  if (fields.text(other) ?? "") fields.refuse(other, `the name is of the type ${type}`);
  const wrong = type === "Hostname" ? wrongHostnamePattern(value) : wrongUri(value);
  if (value !== "" && wrong !== undefined) fields.refuse(field, wrong);
  return [value];
};

const wrongUri = (text: string): string | undefined =>
  /^[A-Za-z][A-Za-z0-9+\-.]*:\/\/[^/?#\s]+/.test(text)
    ? undefined
    : `"${text}" is no URI such as "spiffe://mesh.example/ns/shop"`;
