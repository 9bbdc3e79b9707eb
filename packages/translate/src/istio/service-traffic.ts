import {
  type ConnectionPool,
  DEFAULT_PANIC_THRESHOLD,
  type Locality,
  type ServiceOverrides,
  type ServicePolicy,
  type SubsetPolicy,
} from "@tulle/policy";
import type { TrafficPolicy, TrafficSettings } from "./traffic-policy.ts";

/** What a traffic policy becomes, for calls that no subset and no port says otherwise of. */
export const overridesOf = (settings: TrafficSettings): ServiceOverrides => {
  const { loadBalancer, connectionPool, outlierDetection, retryBudget } = settings;
  const { balancer, hashKey, slowStart } = loadBalancer ?? {};
  const locality = localityOf(settings);
  return {
    ...(balancer === undefined ? {} : { balancer }),
    ...(hashKey === undefined || hashKey.length === 0 ? {} : { hashKey }),
    ...(slowStart === undefined ? {} : { slowStart }),
    ...(locality === undefined ? {} : { locality }),
    ...(connectionPool === undefined ? {} : { connectionPool: connectionPool.pool }),
    ...outlierDetection,
    ...(retryBudget === undefined ? {} : { retryBudget }),
  };
};

/** Istio prefers near endpoints as soon as outliers are detected, unless it is told not to. */
const localityOf = ({ loadBalancer, outlierDetection }: TrafficSettings): Locality | false | undefined =>
  loadBalancer?.locality ?? (outlierDetection === undefined ? undefined : { mode: "failover" });

/** What subsets and ports say otherwise, by Istio's rules: of each part the subset decides, of a port its own policy alone. */
export const levelsOf = (
  ofService: TrafficPolicy | undefined,
  subsets: ReadonlyMap<string, TrafficPolicy | undefined>,
): Pick<ServicePolicy, "subsetPolicies" | "portPolicies"> => {
  const whole = overridesOf(ofService ?? {});
  const portPolicies: Record<string, ServiceOverrides> = {};
  for (const [port, settings] of ofService?.ports ?? []) {
    portPolicies[port] = otherwise(overridesOf(onlyPort(ofService, settings)), whole);
  }
  const subsetPolicies: Record<string, SubsetPolicy> = {};
  for (const [name, policy] of subsets) {
    if (policy === undefined) continue;
    const own = otherwise(overridesOf(inSubset(ofService, policy)), whole);
    const above = { ...whole, ...own };
    const ports: Record<string, ServiceOverrides> = {};
    for (const port of new Set([...(ofService?.ports.keys() ?? []), ...policy.ports.keys()])) {
      const ofPort = ofService?.ports.get(port);
      const base = inSubset(ofPort === undefined ? ofService : onlyPort(ofService, ofPort), policy);
      const subsetPort = policy.ports.get(port);
      const settings = subsetPort === undefined ? base : onlyPort(base, subsetPort);
      ports[port] = otherwise(overridesOf(settings), above);
    }
    if (Object.keys(own).length === 0 && Object.keys(ports).length === 0) continue;
    subsetPolicies[name] = { ...own, ...(Object.keys(ports).length === 0 ? {} : { portPolicies: ports }) };
  }
  return {
    ...(Object.keys(subsetPolicies).length === 0 ? {} : { subsetPolicies }),
    ...(Object.keys(portPolicies).length === 0 ? {} : { portPolicies }),
  };
};

/** A port's policy inherits nothing but the budget, of which it has no word. */
const onlyPort = (above: TrafficSettings | undefined, { ...own }: TrafficSettings): TrafficSettings =>
  above?.retryBudget === undefined ? own : { ...own, retryBudget: above.retryBudget };

const inSubset = (above: TrafficSettings | undefined, policy: TrafficSettings): TrafficSettings => ({
  ...above,
  ...policy,
});

/** What stands for nothing where a level above says something. */
const nothing: Required<Omit<ServiceOverrides, "circuitBreaker" | "adaptiveThrottling">> = {
  balancer: { algorithm: "peak-ewma" },
  connectionPool: {},
  retryBudget: {},
  outlierDetection: {},
  slowStart: false,
  locality: false,
  panicThreshold: DEFAULT_PANIC_THRESHOLD,
  hashKey: [],
};

const boundsOf = ({ maxConnections, maxPendingRequests, maxRequests }: ConnectionPool): ConnectionPool => ({
  ...(maxConnections === undefined ? {} : { maxConnections }),
  ...(maxPendingRequests === undefined ? {} : { maxPendingRequests }),
  ...(maxRequests === undefined ? {} : { maxRequests }),
});

/** The fields that differ from those above. Of connections only the bounds can. */
const otherwise = (own: ServiceOverrides, above: ServiceOverrides): ServiceOverrides => {
  const wanted = own.connectionPool === undefined ? own : { ...own, connectionPool: boundsOf(own.connectionPool) };
  const names = Object.keys(nothing) as (keyof typeof nothing)[]; // its own names
  return Object.fromEntries(
    names.flatMap((name) => {
      const before = name === "connectionPool" && above[name] !== undefined ? boundsOf(above[name]) : above[name];
      const value = wanted[name] ?? (before === undefined ? undefined : nothing[name]);
      return value === undefined || sameText(value, before) ? [] : [[name, value]];
    }),
  );
};

/** Values that were read by the same code print alike. */
const sameText = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right);
