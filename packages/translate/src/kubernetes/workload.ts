import type { CatalogWorkload } from "../catalog.ts";
import { Fields } from "../fields.ts";
import type { Findings } from "../finding.ts";
import { message, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";

const workload = message("Workload", { spec: to("the workload's pods") }, "ignored");
const workloadSpec = message("WorkloadSpec", { template: to("the workload's pods") }, "ignored");
const template = message(
  "PodTemplateSpec",
  { metadata: to("the labels that subsets and selectors mean"), spec: to("the service account") },
  "ignored",
);
const templateMeta = message("PodMetadata", { labels: to("the labels that subsets and selectors mean") }, "ignored");
const podSpec = message("PodSpec", { serviceAccountName: to("Service.serviceAccounts") }, "ignored");

const kindOf = (group: string, kind: string): SourceKind => ({
  group,
  kind,
  versions: ["v1"],
  messages: [workload, workloadSpec, template, templateMeta, podSpec],
});

/** The kinds whose pods are read for labels and service accounts. */
export const workloadKinds: readonly SourceKind[] = [
  kindOf("apps", "Deployment"),
  kindOf("apps", "StatefulSet"),
  kindOf("apps", "DaemonSet"),
  kindOf("apps", "ReplicaSet"),
  kindOf("batch", "Job"),
];

/** Reads the labels and the service account of a workload's pods. */
export const readWorkload = (document: SourceDocument, findings: Findings): CatalogWorkload => {
  const pods = new Fields(document.value, workload, document, [], findings)
    .message("spec", workloadSpec)
    ?.message("template", template);
  return {
    namespace: document.namespace,
    labels: pods?.message("metadata", templateMeta)?.textMap("labels") ?? {},
    serviceAccount: pods?.message("spec", podSpec)?.text("serviceAccountName"),
  };
};
