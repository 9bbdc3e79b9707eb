import { DEFAULT_NAMESPACE } from "../policy-meta.ts";
import type { ServicePolicy } from "../service-policy.ts";

type Labels = Readonly<Record<string, string>>;

/** A `Service` policy whose type knows the names of its subsets, so that a route to another one does not compile. */
export type ServiceOf<Subset extends string> = Omit<ServicePolicy, "subsets"> & {
  readonly subsets?: Readonly<Record<Subset, Labels>>;
};

/** What a service's policy says, without its kind and name. */
export type ServiceFields<Subset extends string> = Omit<ServiceOf<Subset>, "kind" | "name">;

/** A `Service` policy: `service("reviews", { subsets: { v1: { version: "v1" }, v2: { version: "v2" } } })`. */
export const service = <Subset extends string = never>(
  name: string,
  fields: ServiceFields<Subset> = {},
): ServiceOf<Subset> => ({ kind: "Service", name, ...fields });

/** How any policy refers to a service, whatever namespace it is in itself. */
export const referenceTo = (policy: Pick<ServicePolicy, "name" | "namespace">): string =>
  `${policy.name}.${policy.namespace ?? DEFAULT_NAMESPACE}`;
