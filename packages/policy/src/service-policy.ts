import type { Duration } from "./duration.ts";
import type { PolicyMeta } from "./policy-meta.ts";
import type { RetryBudget } from "./retry-policy.ts";

/** How an endpoint is chosen. */
export type Balancer =
	/** Two random endpoints, the one with less `latency × (in flight + 1)` wins. The default (Linkerd, Finagle). */
	| {
			readonly algorithm: "peak-ewma";
			readonly decay?: Duration;
			readonly defaultRtt?: Duration;
	  }
	| { readonly algorithm: "round-robin" }
	/** Not supported yet. */
	| {
			readonly algorithm:
				| "least-request"
				| "random"
				| "ring-hash"
				| "maglev"
				| "weighted-round-robin"
				| "prequal";
	  };

/** The circuit of a destination (service and subset). Counts gateway errors (502, 503, 504), failed connections and timeouts. */
export interface CircuitBreaker {
	/** Share of failures that opens it, in percent, above 0 to 100. @default 50 */
	readonly errorPercent?: number;
	/** Calls within the window below which it never opens. Range 1 to 1,000,000. @default 20 */
	readonly minimumVolume?: number;
	/** @default "10s" */
	readonly window?: Duration;
	/** How long it stays open before one call probes the destination. @default "5s" */
	readonly openFor?: Duration;
}

/** Sockets to each endpoint. */
export interface ConnectionPool {
	/** Per endpoint. Range 1 to 65,535. @default 64 */
	readonly connections?: number;
	/** Calls that may wait for a free connection, per endpoint; more fail with OVERFLOW. @default 1024 (Envoy) */
	readonly pendingRequests?: number;
	/** @default the mesh's, "1s" */
	readonly connectTimeout?: Duration;
	/** Idle sockets are closed after this long; the server keeps them a second longer. @default "4s" */
	readonly keepAlive?: Duration;
	/** Age at which a socket is retired, ± 10 %. @default "1h" */
	readonly maxAge?: Duration;
}

/** One service of the mesh and how it is called. Known elsewhere as DestinationRule, service-resolver. */
export interface ServicePolicy extends PolicyMeta {
	readonly kind: "Service";
	/** Further host names that mean this service, such as `reviews.example.com`; `reviews`, `reviews.ns` and the long name always do. */
	readonly hosts?: readonly string[];
	/** `http2` and `grpc` are not supported yet. @default "http" */
	readonly protocol?: "http" | "http2" | "grpc";
	/** Port in URLs. @default 80 */
	readonly port?: number;
	/** Service accounts whose members may register instances, and whose identity a client accepts. @default [name] */
	readonly serviceAccounts?: readonly string[];
	/** Named sets of endpoints, by labels that all must match. */
	readonly subsets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
	/** @default { algorithm: "peak-ewma" } */
	readonly balancer?: Balancer;
	readonly connectionPool?: ConnectionPool;
	/** `false` turns it off. */
	readonly circuitBreaker?: CircuitBreaker | false;
	readonly retryBudget?: RetryBudget;
	/** What a call does when the service has no registered endpoint at all: fail, or ask DNS. `dns` is not supported yet. @default "none" */
	readonly fallback?: "none" | "dns";
	/** Not supported yet. */
	readonly outlierDetection?: Readonly<Record<string, unknown>>;
	/** Not supported yet. */
	readonly healthCheck?: Readonly<Record<string, unknown>>;
	/** Not supported yet. */
	readonly concurrencyLimit?: Readonly<Record<string, unknown>>;
	/** Not supported yet. */
	readonly locality?: Readonly<Record<string, unknown>>;
	/** Not supported yet. */
	readonly slowStart?: Readonly<Record<string, unknown>>;
	/** Not supported yet. */
	readonly panicThreshold?: number;
	/** Not supported yet. */
	readonly hashKey?: Readonly<Record<string, unknown>>;
	/** TLS to instances outside the mesh. Not supported yet. */
	readonly tls?: Readonly<Record<string, unknown>>;
}

/** The service accounts that may answer for a service. */
export const serviceAccountsOf = (service: ServicePolicy): readonly string[] =>
	service.serviceAccounts ?? [service.name];
