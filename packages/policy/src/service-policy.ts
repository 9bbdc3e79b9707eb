import type { AdaptiveThrottling } from "./adaptive-throttling-policy.ts";
import type { Balancer, SlowStart } from "./balancer-policy.ts";
import type { CircuitBreaker } from "./circuit-breaker-policy.ts";
import type { ConnectionPool } from "./connection-pool-policy.ts";
import { type Duration, durationOr } from "./duration.ts";
import type { ServiceHashKey } from "./hash-key.ts";
import type { HealthCheck } from "./health-check-policy.ts";
import type { Locality } from "./locality-policy.ts";
import type { OutlierDetection } from "./outlier-detection-policy.ts";
import type { OutsideTls } from "./outside-tls.ts";
import type { PolicyMeta } from "./policy-meta.ts";
import type { RetryBudget } from "./retry-policy.ts";
import type { ServiceOverrides, SubsetPolicy } from "./service-overrides.ts";
import type { Subsetting } from "./subsetting-policy.ts";

/** One service of the mesh and how it is called. Known elsewhere as DestinationRule, service-resolver. */
export interface ServicePolicy extends PolicyMeta {
  readonly kind: "Service";
  /** Further host names that mean this service, such as `reviews.example.com`; `reviews`, `reviews.ns` and the long name always do. */
  readonly hosts?: readonly string[];
  /**
   * What its endpoints speak: HTTP/1.1, or HTTP/2, which over TLS is agreed on (an endpoint that speaks HTTP/1.1 alone is called so)
   * and in plaintext is known before. `grpc` is HTTP/2 and nothing else. @default "http"
   */
  readonly protocol?: "http" | "http2" | "grpc";
  /** Port in URLs. @default 80 */
  readonly port?: number;
  /** Further ports in URLs; calls on them go to the same instances, and routes can tell them apart. At most 100. @default none */
  readonly ports?: readonly number[];
  /** Service accounts whose members may register instances, and whose identity a client accepts. @default [name] */
  readonly serviceAccounts?: readonly string[];
  /**
   * Instances of other services of the namespace that carry all these labels are this service's as well, where their service
   * account is one of `serviceAccounts`. The selector of a Kubernetes Service. @default none
   */
  readonly selector?: Readonly<Record<string, string>>;
  /** Named sets of endpoints, by labels that all must match. */
  readonly subsets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** What subsets say otherwise, by their names. @default nothing */
  readonly subsetPolicies?: Readonly<Record<string, SubsetPolicy>>;
  /** What is said otherwise of calls on a port, by the port in URLs. @default nothing */
  readonly portPolicies?: Readonly<Record<string, ServiceOverrides>>;
  /** @default { algorithm: "peak-ewma" } */
  readonly balancer?: Balancer;
  readonly connectionPool?: ConnectionPool;
  /** `false` turns it off. */
  readonly circuitBreaker?: CircuitBreaker | false;
  /** Refuses part of the calls while the destination rejects many. @default false */
  readonly adaptiveThrottling?: AdaptiveThrottling | false;
  readonly retryBudget?: RetryBudget;
  /**
   * What a call does when the service has no registered endpoint at all: fail, or ask DNS for its `hosts`, its long name and
   * its name, in this order, on the service port; plaintext unless `tls` says otherwise. @default "none"
   */
  readonly fallback?: "none" | "dns";
  /** `false` turns it off. @default on */
  readonly outlierDetection?: OutlierDetection | false;
  /** Endpoints are asked how they are. `false` turns it off. @default false */
  readonly healthCheck?: HealthCheck | false;
  /**
   * How long an endpoint is called that the registry keeps but has not heard of; then it gets calls only when nobody else is
   * left. 0s: for ever. Range 0s to 168h. @default "0s" (Envoy)
   */
  readonly staleAfter?: Duration;
  /** Not supported yet. */
  readonly concurrencyLimit?: Readonly<Record<string, unknown>>;
  /** How calls prefer some localities to others. `false` turns it off. @default false */
  readonly locality?: Locality | false;
  /** Endpoints that join or recover get their share little by little. `false` turns it off. @default false */
  readonly slowStart?: SlowStart | false;
  /** Each client calls only so many of the endpoints. @default off */
  readonly subsetting?: Subsetting;
  /**
   * Ejections and health checks are ignored while fewer than so many percent of the endpoints that can be reached are left;
   * 0: never. Range 0 to 100. @default 50 (Envoy)
   */
  readonly panicThreshold?: number;
  /** What tells calls apart for `ring-hash` and `maglev`; a call that has none of it goes anywhere. @default none */
  readonly hashKey?: readonly ServiceHashKey[];
  /** TLS to instances outside the mesh: those that are registered with the transport `tls`, and those of DNS. @default none */
  readonly tls?: OutsideTls;
}

/** How long a stale endpoint is called, milliseconds; for ever where the policy says nothing, or 0. */
export const effectiveStaleAfterMs = ({ staleAfter }: ServicePolicy): number =>
  durationOr(staleAfter, 0) || Number.POSITIVE_INFINITY;

/** The service accounts that may answer for a service. */
export const serviceAccountsOf = (service: ServicePolicy): readonly string[] =>
  service.serviceAccounts ?? [service.name];

/** The port in URLs of a service that names none: that of HTTP. */
export const DEFAULT_SERVICE_PORT = 80;

/** Most further ports of a service. */
export const MAX_SERVICE_PORTS = 100;

/** The port in URLs. */
export const servicePortOf = (service: ServicePolicy): number => service.port ?? DEFAULT_SERVICE_PORT;

/** Share of the endpoints below which ejections are ignored: 50 % (Envoy). */
export const DEFAULT_PANIC_THRESHOLD = 50;
