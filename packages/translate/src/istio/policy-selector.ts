import type { WorkloadSelector } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";

/** Istio's WorkloadSelector of the kinds that are about security and telemetry, which knows no `labels`. */
export const policySelectorMessage: Message<"matchLabels"> = message("PolicyWorkloadSelector", {
  matchLabels: to("selector.labels"),
});

/** Reads a selector; `undefined` where it selects every workload of its namespace. */
export const readPolicySelector = (
  fields: FieldsOf<typeof policySelectorMessage> | undefined,
): WorkloadSelector | undefined => {
  if (fields === undefined) return undefined;
  const labels = fields.textMap("matchLabels") ?? {};
  for (const [name, value] of Object.entries(labels)) {
    if (name === "") fields.refuse("matchLabels", "a label has an empty name");
    if (name.includes("*") || value.includes("*")) {
      fields.refuse("matchLabels", "labels are compared as they are: no star has a meaning here", name);
    }
  }
  if (Object.keys(labels).length > 0) return { labels };
  fields.warn("matchLabels", "a selector without labels selects every workload of the namespace");
  return undefined;
};
