import { resolveHost } from "../catalog.ts";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import type { Findings } from "../finding.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { portSelectorMessage } from "./destination.ts";
import { whyNoHost } from "./hosts.ts";
import {
  readTrafficPolicy,
  type TrafficPolicy,
  trafficPolicyMessage,
  trafficPolicyMessages,
} from "./traffic-policy.ts";
import { readExportTo, type Visibility } from "./visibility.ts";
import { readWorkloadSelector, whyNoLabel, workloadSelectorMessage } from "./workload-selector.ts";

const spec: Message<"host" | "trafficPolicy" | "subsets" | "exportTo" | "workloadSelector"> = message(
  "DestinationRule",
  {
    host: to("Service, or ExternalService"),
    trafficPolicy: to("the fields of the Service"),
    subsets: to("subsets, subsetPolicies"),
    exportTo: to("nobody, where it is ~; else what calls meet does not depend on the caller's namespace"),
    workloadSelector: noMeaning(
      "what calls meet does not depend on the caller's labels: of this document only subsets are taken",
    ),
  },
);

const subsetMessage: Message<"name" | "labels" | "trafficPolicy"> = message("Subset", {
  name: to("subsets"),
  labels: to("subsets"),
  trafficPolicy: to("subsetPolicies"),
});

/** Istio's DestinationRule. */
export const destinationRuleKind: SourceKind = {
  group: "networking.istio.io",
  kind: "DestinationRule",
  versions: ["v1", "v1beta1", "v1alpha3"],
  messages: [spec, subsetMessage, workloadSelectorMessage, portSelectorMessage, ...trafficPolicyMessages],
};

/** A subset as a document has it. */
export interface ReadSubset {
  readonly labels: Readonly<Record<string, string>>;
  readonly policy: TrafficPolicy | undefined;
}

/** What one DestinationRule says. */
export interface DestinationRule {
  readonly document: SourceDocument;
  readonly fields: FieldsOf<typeof spec>;
  readonly host: string;
  readonly policy: TrafficPolicy | undefined;
  readonly subsets: ReadonlyMap<string, ReadSubset>;
  readonly visibility: Visibility;
  /** It is for callers with certain labels alone. */
  readonly selects: boolean;
}

/** Reads one document, as strictly as Istio does. */
export const readDestinationRule = (document: SourceDocument, findings: Findings): DestinationRule => {
  const whole = new Fields(document.value, documentMessage, document, [], findings);
  const fields = whole.message("spec", spec) ?? new Fields({}, spec, document, ["spec"], findings);
  const host = fields.text("host") ?? "";
  const wrong = whyNoHost(host, { wildcard: true });
  if (wrong !== undefined) fields.refuse("host", wrong);
  const selector = readWorkloadSelector(fields.message("workloadSelector", workloadSelectorMessage));
  const visibility = readExportTo(fields, document.namespace);
  const exported = fields.texts("exportTo") ?? [];
  if (selector !== undefined && exported.some((each) => each !== ".")) {
    fields.refuse("exportTo", 'a document with a workloadSelector is for its own namespace: write "." alone');
  }
  if (selector === undefined && visibility !== undefined && visibility.length > 0) {
    fields.tellNoMeaning("exportTo", "what calls meet does not depend on the caller's namespace: it holds for all");
  }
  return {
    document,
    fields,
    host,
    policy: readTrafficPolicy(
      fields.message("trafficPolicy", trafficPolicyMessage),
      resolveHost(host, document.namespace).kind === "external" ? "outside" : "service",
    ),
    subsets: readSubsets(fields),
    visibility,
    selects: selector !== undefined,
  };
};

const subsetName = /^[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/;

const readSubsets = (fields: FieldsOf<typeof spec>): ReadonlyMap<string, ReadSubset> => {
  const subsets = new Map<string, ReadSubset>();
  for (const each of fields.messages("subsets", subsetMessage) ?? []) {
    const name = each.text("name") ?? "";
    const labels = each.textMap("labels") ?? {};
    const policy = readTrafficPolicy(each.message("trafficPolicy", trafficPolicyMessage), "subset");
    if (!subsetName.test(name)) each.refuse("name", `"${name}" is no name of a subset: write letters, digits and "-"`);
    if (subsets.has(name)) each.refuse("name", `"${name}" is there twice`);
    for (const [key, value] of Object.entries(labels)) {
      const wrong = whyNoLabel(key, value);
      if (wrong !== undefined) each.refuse("labels", wrong, key);
    }
    subsets.set(name, { labels, policy });
  }
  return subsets;
};
