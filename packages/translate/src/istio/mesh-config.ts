import type { AuthorizerPolicy, MeshPolicy, OutboundMode, PathNormalization, PolicyPath } from "@tulle/policy";
import { DEFAULT_ROOT_NAMESPACE } from "@tulle/policy";
import { readYamlValues } from "@tulle/policy/yaml-values";
import { Fields, type FieldsOf } from "../fields.ts";
import { Findings } from "../finding.ts";
import { certificateMapMessage, holdsRoots } from "../kubernetes/config-map.ts";
import { refuseUnsayable } from "../refuse-unsayable.ts";
import { documentKey, type SourceDocument } from "../source-document.ts";
import { isOfKind, type SourceKind } from "../source-kind.ts";
import type { TranslationContext } from "../translation-context.ts";
import type { TranslatedPolicy, Translator } from "../translator.ts";
import {
  extensionProviderMessage,
  httpAuthorizerMessage,
  type ReadProvider,
  readExtensionProvider,
} from "./extension-provider.ts";
import {
  meshConfigDataMessage,
  meshConfigMapMessage,
  meshConfigMessage,
  meshOutboundMessage,
  operatorMessage,
  operatorSpecMessage,
  pathNormalizationMessage,
} from "./mesh-config-message.ts";
import { refuseNulls } from "./policy-target.ts";
import { readRetries, retriesMessage } from "./retries.ts";

const messages = [
  meshConfigMessage,
  meshOutboundMessage,
  pathNormalizationMessage,
  extensionProviderMessage,
  httpAuthorizerMessage,
];

/** The ConfigMap in which Istio keeps the mesh's configuration. */
export const meshConfigMapKind: SourceKind = {
  group: "",
  kind: "ConfigMap",
  versions: ["v1"],
  messages: [meshConfigMapMessage, meshConfigDataMessage, certificateMapMessage, ...messages],
};

/** Istio's IstioOperator. */
export const istioOperatorKind: SourceKind = {
  group: "install.istio.io",
  kind: "IstioOperator",
  versions: ["v1alpha1"],
  messages: [operatorMessage, operatorSpecMessage, ...messages],
};

/** The mesh's configuration becomes the Mesh policy, where anything in it is about policy. */
export const meshConfigs: Translator = {
  kinds: [meshConfigMapKind, istioOperatorKind],
  translate: (context) => {
    const { documents, findings } = context;
    for (const document of documents) {
      if (isOfKind(document, meshConfigMapKind) && !holdsMesh(document) && !holdsRoots(document)) {
        findings.add("ignored", document, [], "ConfigMap says nothing about policy here");
      }
    }
    const [document, ...others] = meshDocuments(documents);
    for (const other of others) {
      const taken = document === undefined ? "" : documentKey(document);
      findings.add("warning", other, [], `${taken} holds the mesh's configuration, and this one is not used`);
    }
    return document === undefined ? rootAlone(context) : fromDocument(document, context);
  },
};

/** The root namespace that the mesh's configuration names, if any. */
export const rootNamespaceIn = (documents: readonly SourceDocument[]): string | undefined => {
  const [document] = meshDocuments(documents);
  return document === undefined ? undefined : readConfig(document, new Findings())?.text("rootNamespace") || undefined;
};

type Providers = ReadonlyMap<string, ReadProvider> | undefined;

/** Read once for all the policies of a translation. */
const providersRead = new WeakMap<TranslationContext, Providers>();

/** Who may be asked by the action CUSTOM, by name; `undefined` where no document holds the mesh's configuration. */
export const providersOf = (context: TranslationContext): Providers => {
  if (!providersRead.has(context)) providersRead.set(context, readAllProviders(context));
  return providersRead.get(context);
};

const readAllProviders = ({ documents, existingMesh }: TranslationContext): Providers => {
  const [document] = meshDocuments(documents);
  const fields = document === undefined ? undefined : readConfig(document, new Findings());
  if (fields === undefined) return undefined;
  return new Map([
    ...Object.entries(existingMesh?.authorizers ?? {}).map(([name, authorizer]): [string, ReadProvider] => [
      name,
      { name, authorizer },
    ]),
    ...readProviders(fields).map((each): [string, ReadProvider] => [each.name, each]),
  ]);
};

const holdsMesh = ({ name, value }: SourceDocument): boolean => {
  const { data } = value;
  return (
    (name === "istio" || name.startsWith("istio-")) &&
    typeof data === "object" &&
    data !== null &&
    "mesh" in data &&
    typeof data.mesh === "string"
  );
};

const holdsMeshConfig = ({ value }: SourceDocument): boolean => {
  const { spec } = value;
  return typeof spec === "object" && spec !== null && "meshConfig" in spec && spec.meshConfig !== null;
};

/** The ConfigMap that Istio reads first, then those of its revisions, then what it was installed with. */
const meshDocuments = (documents: readonly SourceDocument[]): readonly SourceDocument[] => {
  const maps = documents.filter((each) => isOfKind(each, meshConfigMapKind) && holdsMesh(each));
  const operators = documents.filter((each) => isOfKind(each, istioOperatorKind) && holdsMeshConfig(each));
  const byName = (a: SourceDocument, b: SourceDocument): number => {
    const [left, right] = [`${a.name}/${a.namespace}`, `${b.name}/${b.namespace}`];
    return left < right ? -1 : left > right ? 1 : 0;
  };
  return [...maps.toSorted(byName), ...operators.toSorted(byName)];
};

type ConfigFields = FieldsOf<typeof meshConfigMessage>;

const readConfig = (document: SourceDocument, findings: Findings): ConfigFields | undefined => {
  if (isOfKind(document, istioOperatorKind)) {
    return new Fields(document.value, operatorMessage, document, [], findings)
      .message("spec", operatorSpecMessage)
      ?.message("meshConfig", meshConfigMessage);
  }
  const data = new Fields(document.value, meshConfigMapMessage, document, [], findings).message(
    "data",
    meshConfigDataMessage,
  );
  const text = data?.text("mesh");
  if (data === undefined || text === undefined) return undefined;
  const { values, problems } = readYamlValues(text, document.place.origin.file);
  for (const { message } of problems) data.refuse("mesh", message);
  if (values.length > 1) data.refuse("mesh", "there are several documents in it");
  return new Fields(values[0]?.value ?? {}, meshConfigMessage, document, data.at("mesh"), findings);
};

const readProviders = (fields: ConfigFields): readonly ReadProvider[] => {
  refuseNulls(fields, "extensionProviders");
  const names = new Set<string>();
  return (fields.messages("extensionProviders", extensionProviderMessage) ?? []).flatMap((each) => {
    const name = each.text("name");
    if (name !== undefined && names.has(name)) each.refuse("name", `"${name}" is there twice`);
    if (name !== undefined) names.add(name);
    const provider = readExtensionProvider(each);
    return provider === undefined ? [] : [provider];
  });
};

const fromDocument = (document: SourceDocument, context: TranslationContext): readonly TranslatedPolicy[] => {
  const fields = readConfig(document, context.findings);
  if (fields === undefined) return [];
  const written = readMesh(fields);
  const isRootMeant = written.rootNamespace === undefined && isRootUnknown(context);
  const mesh = { ...written, ...(isRootMeant ? { rootNamespace: context.rootNamespace } : {}) };
  if (Object.keys(mesh).length === 0) return [];
  const policy = laidOver(context.existingMesh, mesh, document);
  refuseUnsayable(policy, document, context.findings, (path) => [...fields.path, ...placeIn(path)]);
  return [{ policy, from: [document] }];
};

/** Documents of a root namespace that goes by another name than Tulle's own mean all namespaces, so the mesh has to be told. */
const rootAlone = (context: TranslationContext): readonly TranslatedPolicy[] => {
  const { documents, rootNamespace, existingMesh } = context;
  if (!isRootUnknown(context)) return [];
  const inRoot = documents.find(
    ({ namespace, apiVersion }) => namespace === rootNamespace && apiVersion.startsWith("security.istio.io/"),
  );
  if (inRoot === undefined) return [];
  return [{ policy: laidOver(existingMesh, { rootNamespace }, inRoot), from: [] }];
};

const isRootUnknown = ({ rootNamespace, existingMesh }: TranslationContext): boolean =>
  rootNamespace !== (existingMesh?.rootNamespace ?? DEFAULT_ROOT_NAMESPACE);

/** What a document leaves open of the mesh stays as it is there. */
const laidOver = (existing: MeshPolicy | undefined, mesh: MeshFields, { place }: SourceDocument): MeshPolicy => {
  const authorizers = { ...existing?.authorizers, ...mesh.authorizers };
  const defaults = { ...existing?.defaults, ...mesh.defaults };
  return {
    ...existing,
    kind: "Mesh",
    name: "mesh",
    ...mesh,
    ...(Object.keys(authorizers).length === 0 ? {} : { authorizers }),
    ...(Object.keys(defaults).length === 0 ? {} : { defaults }),
    origin: place.origin,
  };
};

type MeshFields = Omit<MeshPolicy, "kind" | "name" | "origin">;

const readMesh = (fields: ConfigFields): MeshFields => {
  refuseOtherThanAll(fields);
  const trustDomain = fields.text("trustDomain") || undefined;
  const aliases = fields.texts("trustDomainAliases") ?? [];
  const rootNamespace = fields.text("rootNamespace") || undefined;
  const outbound = readOutbound(fields);
  const pathNormalization = readNormalization(fields);
  const authorizers = Object.fromEntries(
    readProviders(fields).flatMap((each): [string, AuthorizerPolicy][] =>
      "authorizer" in each ? [[each.name, each.authorizer]] : [],
    ),
  );
  const connectTimeout = fields.duration("connectTimeout");
  const retries = fields.message("defaultHttpRetryPolicy", retriesMessage);
  const { retry, attemptTimeout } = readRetries(retries);
  const defaults = {
    ...(connectTimeout === undefined ? {} : { connectTimeout }),
    ...(attemptTimeout === undefined ? {} : { attemptTimeout }),
    // Mesh-wide there is no `false`: no retries are none.
    ...(retry === undefined ? {} : { retry: retry === false ? { retries: 0 } : retry }),
  };
  return {
    ...(trustDomain === undefined ? {} : { trustDomain }),
    ...(aliases.length === 0 ? {} : { trustDomainAliases: aliases }),
    ...(rootNamespace === undefined ? {} : { rootNamespace }),
    ...(outbound === undefined ? {} : { outbound }),
    ...(pathNormalization === undefined ? {} : { pathNormalization }),
    ...(Object.keys(authorizers).length === 0 ? {} : { authorizers }),
    ...(Object.keys(defaults).length === 0 ? {} : { defaults }),
  };
};

const readOutbound = (fields: ConfigFields): OutboundMode | undefined => {
  const policy = fields.message("outboundTrafficPolicy", meshOutboundMessage);
  if (policy === undefined) return undefined;
  const mode = policy.oneOf("mode", ["ALLOW_ANY", "REGISTRY_ONLY"]);
  // What Istio makes of a policy without mode depends on what it is merged into.
  if (mode === undefined && !policy.has("mode")) policy.refuse("mode", "a mode is needed: ALLOW_ANY or REGISTRY_ONLY");
  return mode === "ALLOW_ANY" ? "allow-any" : "registry-only";
};

const readNormalization = (fields: ConfigFields): PathNormalization | undefined => {
  const normalization = fields
    .message("pathNormalization", pathNormalizationMessage)
    ?.oneOf("normalization", ["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"]);
  switch (normalization) {
    case "DEFAULT":
    case "BASE":
      return "base";
    case "NONE":
      return "none";
    case "MERGE_SLASHES":
      return "merge-slashes";
    case "DECODE_AND_MERGE_SLASHES":
      return "decode-and-merge-slashes";
    default:
      return undefined;
  }
};

const exportDefaults = [
  "defaultServiceExportTo",
  "defaultVirtualServiceExportTo",
  "defaultDestinationRuleExportTo",
] as const;

const refuseOtherThanAll = (fields: ConfigFields): void => {
  for (const name of exportDefaults) {
    const written = fields.texts(name) ?? [];
    if (written.some((each) => each !== "*")) {
      fields.refuse(name, 'documents that say nothing are seen by all ("*"): write exportTo in them');
    }
  }
  if ((fields.text("compliancePolicy") ?? "") !== "") {
    fields.refuse(
      "compliancePolicy",
      "which TLS is spoken is the matter of the Node that runs: nobody could hold it here",
    );
  }
};

/** The document's own way to a field of the policy. */
const placeIn = ([field, part]: PolicyPath): PolicyPath => {
  if (field === "authorizers") return ["extensionProviders"];
  if (field === "outbound") return ["outboundTrafficPolicy"];
  if (field === "defaults") return [part === "connectTimeout" ? "connectTimeout" : "defaultHttpRetryPolicy"];
  return field === undefined ? [] : [field];
};
