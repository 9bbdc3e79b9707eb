import type { Check } from "./policy-check.ts";
import { namespaceOf, type PolicyMeta } from "./policy-meta.ts";
import { type ServiceKey, splitServiceKey } from "./service-name.ts";

/**
 * Which workloads a policy is for: all of its namespace where nothing is set, and all of the mesh where the namespace is
 * the root namespace. Both fields must hold.
 */
export interface WorkloadSelector {
  /** A service's name in the policy's namespace; of a policy in the root namespace, in any namespace. */
  readonly service?: string;
  /** Labels that the workload must carry, all of them, with these values. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** A policy that selects workloads. */
export type Selecting = PolicyMeta & { readonly selector?: WorkloadSelector };

/** Whether a policy is for single workloads, and not for all of its namespace. Empty labels select nothing special. */
export const selectsWorkloads = ({ selector }: Selecting): boolean =>
  selector?.service !== undefined || Object.keys(selector?.labels ?? {}).length > 0;

/**
 * Whether a policy may be for some instance of a service: it lives in the service's namespace or in the root namespace,
 * and names the service if it names one. Labels are the instances' own, so each instance answers for them itself.
 */
export const mayConcern = (policy: Selecting, service: ServiceKey, rootNamespace: string): boolean => {
  const { namespace, name } = splitServiceKey(service);
  const home = namespaceOf(policy);
  return (home === namespace || home === rootNamespace) && (policy.selector?.service ?? name) === name;
};

/** Whether a workload carries the labels that a policy asks for. */
export const fitsLabels = ({ selector }: Selecting, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(selector?.labels ?? {}).every(
    ([name, value]) => Object.hasOwn(labels, name) && labels[name] === value,
  );

const known: ReadonlySet<string> = new Set(["service", "labels"] satisfies (keyof WorkloadSelector)[]);

/** Reports what is wrong with a selector. A field that is not known is wrong too: nobody could tell whom it leaves out. */
export const checkSelector = (selector: WorkloadSelector | undefined, check: Check): void => {
  for (const field of Object.keys(selector ?? {})) {
    if (!known.has(field)) check.report(["selector", field], `a selector has no field "${field}"`);
  }
  for (const [name, value] of Object.entries(selector?.labels ?? {})) {
    if (name === "") check.report(["selector", "labels"], "a label has an empty name");
    if (name.includes("*") || value.includes("*")) {
      check.report(["selector", "labels", name], "labels are compared as they are: no star has a meaning here");
    }
  }
};
