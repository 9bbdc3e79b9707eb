import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";

/** Istio's WorkloadSelector, as its networking kinds and its other kinds write it. */
export const workloadSelectorMessage: Message<"labels" | "matchLabels"> = message("WorkloadSelector", {
  labels: to("the workloads that it is for"),
  matchLabels: to("the workloads that it is for"),
});

/** Reads whom a document is for; `undefined` for all of its namespace. */
export const readWorkloadSelector = (
  fields: FieldsOf<typeof workloadSelectorMessage> | undefined,
): Readonly<Record<string, string>> | undefined => {
  if (fields === undefined) return undefined;
  for (const name of ["labels", "matchLabels"] as const) {
    for (const [key, value] of Object.entries(fields.textMap(name) ?? {})) {
      const wrong = whyNoLabel(key, value);
      if (wrong !== undefined) fields.refuse(name, wrong, key);
    }
  }
  return fields.textMap("labels") ?? fields.textMap("matchLabels") ?? {};
};

const labelName = /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** Why a pair is no label of Kubernetes; `undefined` where it is one. */
export const whyNoLabel = (key: string, value: string): string | undefined => {
  if (key === "") return "a label has an empty name";
  if (key.includes("*") || value.includes("*")) return "labels are compared as they are: no star has a meaning here";
  if (!labelName.test(key)) return `"${key}" is no name of a label`;
  return labelValue.test(value) ? undefined : `"${value}" is no value of a label`;
};
