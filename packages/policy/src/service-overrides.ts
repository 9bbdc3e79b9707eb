import type { ServicePolicy } from "./service-policy.ts";

/** The fields of a service that a subset or a port may say otherwise. */
export const overridableFields = [
  "balancer",
  "connectionPool",
  "circuitBreaker",
  "adaptiveThrottling",
  "retryBudget",
  "outlierDetection",
  "slowStart",
  "locality",
  "panicThreshold",
  "hashKey",
] as const;

/**
 * What a subset or a port says otherwise than its service. A field stands for the service's whole field of that name, so `{}`
 * means the defaults. Of `connectionPool` the bounds hold (`maxConnections`, `maxPendingRequests`, `maxRequests`); how single
 * connections are made and kept is the service's matter. Known elsewhere as the traffic policy of a subset (Istio).
 */
export type ServiceOverrides = Pick<ServicePolicy, (typeof overridableFields)[number]>;

/** What a subset says otherwise, and what its ports do. */
export interface SubsetPolicy extends ServiceOverrides {
  /** By port in URLs; stands for what the service says of the port. @default the service's */
  readonly portPolicies?: Readonly<Record<string, ServiceOverrides>>;
}

/** The ports of which a service, or a subset of it, says something of its own. */
export const portsWithPolicy = (service: ServicePolicy, subset: string | undefined): readonly number[] => {
  const ofSubset = subset === undefined ? undefined : service.subsetPolicies?.[subset];
  const names = [...Object.keys(service.portPolicies ?? {}), ...Object.keys(ofSubset?.portPolicies ?? {})];
  return [...new Set(names)].map(Number);
};

/**
 * The policy under which a subset of a service is called on a port: the service's, over it the subset's, over it the port's,
 * of which the subset's own goes before the service's.
 *
 * @param port `undefined`: one of which nothing is said.
 */
export const servicePolicyFor = (
  service: ServicePolicy,
  subset: string | undefined,
  port: number | undefined,
): ServicePolicy => {
  const ofSubset = subset === undefined ? undefined : service.subsetPolicies?.[subset];
  const ofPort = port === undefined ? undefined : (ofSubset?.portPolicies?.[port] ?? service.portPolicies?.[port]);
  if (ofSubset === undefined && ofPort === undefined) return service;
  const { portPolicies: _, ...overrides } = ofSubset ?? {};
  return { ...service, ...overrides, ...ofPort };
};
