import type { Duration } from "./duration.ts";

/** When a failed attempt may be repeated; the words are Envoy's `retry_on`. */
export type RetryCondition =
	| "connect-failure"
	| "refused-stream"
	| "reset"
	| "gateway-error"
	| "5xx"
	| "retriable-4xx"
	| "attempt-timeout";

/** Repeating a failed call. */
export interface RetryPolicy {
	/** Attempts after the first one. Range 0 to 10. @default 2 (Istio) */
	readonly retries?: number;
	/**
	 * Conditions under which an attempt is repeated. Whatever they say, a method that is not idempotent is repeated only
	 * when its attempt is provably unsent, unless `nonIdempotent` is set.
	 * @default ["connect-failure", "refused-stream", "reset", "gateway-error", "attempt-timeout"]
	 */
	readonly on?: readonly RetryCondition[];
	/** Also repeat on these response statuses, 400 to 599. @default [] */
	readonly statuses?: readonly number[];
	/** Repeat methods that are not idempotent (POST, PATCH) as well. @default false */
	readonly nonIdempotent?: boolean;
	/** Full jitter between 0 and `base * 2^(n-1)`, at most `max`. @default base "25ms", max "250ms" (Envoy) */
	readonly backoff?: { readonly base?: Duration; readonly max?: Duration };
}

/** How much load retries may add, per destination service. Both a share and a floor, as Linkerd and Finagle have it. */
export interface RetryBudget {
	/** Retries per request, 0 to 1. @default 0.2 */
	readonly ratio?: number;
	/** Retries per second that are allowed whatever the ratio. Range 0 to 10,000. @default 10 */
	readonly minPerSecond?: number;
	/** How long a request's deposit counts. Range 1s to 60s. @default "10s" */
	readonly ttl?: Duration;
}
