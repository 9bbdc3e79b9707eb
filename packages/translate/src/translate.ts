import { namespaceOf, type Policy, type ServiceKey, serviceKey } from "@tulle/policy";
import { parsePolicies } from "@tulle/policy/schema";
import { distinctNames } from "./distinct-names.ts";
import { type Finding, Findings } from "./finding.ts";
import type { ParentStatus } from "./gateway-api/condition.ts";
import { rootNamespaceIn } from "./istio/mesh-config.ts";
import { serviceKind } from "./kubernetes/service.ts";
import { workloadKinds } from "./kubernetes/workload.ts";
import { mergeServices } from "./merge-services.ts";
import { readCatalog } from "./read-catalog.ts";
import { documentKey, type SourceDocument } from "./source-document.ts";
import { checkVersion, isOfKind, type SourceKind } from "./source-kind.ts";
import type { TranslationContext } from "./translation-context.ts";
import type { TranslatedPolicy } from "./translator.ts";
import { translators } from "./translators.ts";

/** How documents are translated. */
export interface TranslateOptions {
  /** Istio's root namespace. @default what the mesh's configuration among the documents says, else the existing Mesh policy, else "istio-system" (Istio) */
  readonly rootNamespace?: string;
  /**
   * Services that are known besides those of the documents, such as those of the config-server: what a document refers to is
   * looked for among them. @default not known: a document that tells of no service is believed about those that it names
   */
  readonly services?: ReadonlySet<ServiceKey>;
  /**
   * Policies that hold already, such as those of the config-server: what a DestinationRule says is said of the Service that is
   * there, whose ports and accounts stay, and what the mesh's configuration leaves open stays too. @default none
   */
  readonly existing?: readonly Policy[];
  /** What has no meaning without a proxy refuses its document. @default false */
  readonly strict?: boolean;
}

/** What documents became. */
export interface Translation {
  /** Of the documents that were not refused; each with its document's file and line as its origin. */
  readonly policies: readonly Policy[];
  /** The same, each with the documents that it was made of. */
  readonly translated: readonly TranslatedPolicy[];
  /** In the order of the files. */
  readonly findings: readonly Finding[];
  /** What became of routes of the Gateway API under the Services that they are bound to. */
  readonly statuses: readonly ParentStatus[];
}

/** Istio's own root namespace. */
export const DEFAULT_ROOT_NAMESPACE = "istio-system";

/**
 * Translates documents that belong together. Pure: the same documents give the same policies. Never throws, whatever the
 * documents hold; a document of which any field is refused gives no policy at all.
 */
export const translate = (documents: readonly SourceDocument[], options: TranslateOptions = {}): Translation => {
  const findings = new Findings(options.strict === true);
  const latest = lastOfEach(documents, findings);
  for (const document of latest) tellUnread(document, findings);
  const existingMesh = options.existing?.find((policy) => policy.kind === "Mesh");
  const rootNamespace =
    options.rootNamespace ?? rootNamespaceIn(latest) ?? existingMesh?.rootNamespace ?? DEFAULT_ROOT_NAMESPACE;
  const context: TranslationContext = {
    documents: latest,
    catalog: readCatalog(latest, options.existing, rootNamespace, findings),
    findings,
    rootNamespace,
    services: options.services,
    existing: new Map(
      (options.existing ?? [])
        .filter((policy) => policy.kind === "Service")
        .map((policy) => [serviceKey(namespaceOf(policy), policy.name), policy]),
    ),
    existingMesh,
    statuses: [],
  };
  const made = translators.flatMap((translator) => translator.translate(context));
  const translated = putTogether(made, context);
  const unfit = refuseUnfit(translated, findings);
  if (unfit.size > 0) {
    // What they had a part in is made again without them; each time there are fewer.
    const rest = translate(
      latest.filter((each) => !unfit.has(each)),
      options,
    );
    const known = new Set(findings.all.map(told));
    const further = rest.findings.filter((found) => found.level === "refused" && !known.has(told(found)));
    return { ...rest, findings: [...findings.all, ...further], statuses: context.statuses };
  }
  return {
    policies: translated.map(({ policy }) => policy),
    translated,
    findings: findings.all,
    statuses: context.statuses,
  };
};

/** Puts together what documents became, without all that comes of refused ones. */
const putTogether = (
  made: readonly TranslatedPolicy[],
  { findings, existing, existingMesh }: TranslationContext,
): readonly TranslatedPolicy[] => {
  const kept = made.filter(({ from }) => !from.some((each) => findings.refuses(each)));
  return distinctNames(mergeServices(kept, existing, existingMesh));
};

/**
 * Refuses the documents whose policies Tulle itself would refuse: a value that its origin takes may be out of the range of a
 * policy's field. Returns them.
 */
const refuseUnfit = (translated: readonly TranslatedPolicy[], findings: Findings): ReadonlySet<SourceDocument> => {
  const unfit = new Set<SourceDocument>();
  for (const { index = 0, path, message } of parsePolicies(translated.map(({ policy }) => policy)).problems) {
    const { policy, from = [] } = translated[index] ?? {};
    for (const document of atFault(from)) {
      unfit.add(document);
      findings.add("refused", document, [], `${policy?.kind} ${path}: ${message}`);
    }
  }
  return unfit;
};

/** What is said of a service is wrong sooner than the Service itself. */
const atFault = (from: readonly SourceDocument[]): readonly SourceDocument[] => {
  const further = from.filter((document) => !isOfKind(document, serviceKind));
  return further.length === 0 ? from : further;
};

const told = (found: Finding): string => `${found.document} ${found.path} ${found.message}`;

/** Every kind of document that is read. */
export const sourceKinds: readonly SourceKind[] = [
  serviceKind,
  ...workloadKinds,
  ...translators.flatMap(({ kinds }) => kinds),
];

/** As applying them one after the other would: a document of the same kind and name takes the place of an earlier one. */
const lastOfEach = (documents: readonly SourceDocument[], findings: Findings): readonly SourceDocument[] => {
  const latest = new Map<string, SourceDocument>();
  for (const document of documents) {
    const key = `${document.apiVersion.replace(/\/.*/, "")}/${documentKey(document)}`;
    const earlier = latest.get(key);
    if (earlier !== undefined) {
      const { file, line } = document.place.origin;
      findings.add(
        "warning",
        earlier,
        [],
        `${file}:${line} holds a later document of this name, which is taken instead`,
      );
    }
    latest.set(key, document);
  }
  return [...latest.values()];
};

const tellUnread = (document: SourceDocument, findings: Findings): void => {
  const kind = sourceKinds.find((each) => isOfKind(document, each));
  if (kind === undefined) findings.add("ignored", document, [], `${document.kind} says nothing about policy here`);
  else checkVersion(document, kind, findings);
};
