import type { WorkloadSelector } from "../selector.ts";
import type { ServicePolicy } from "../service-policy.ts";

/** What a policy is for: one service, or every service of its namespace. */
export type Selected = Pick<ServicePolicy, "name" | "namespace"> | "all";

/** The fields that a policy for this selection has, and the name it takes from it. */
export const selectionOf = (
  selected: Selected,
): { readonly name: string; readonly namespace?: string; readonly selector?: WorkloadSelector } => {
  if (selected === "all") return { name: "all" };
  const { name, namespace } = selected;
  return { name, ...(namespace === undefined ? {} : { namespace }), selector: { service: name } };
};
