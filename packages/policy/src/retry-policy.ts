import { type Duration, durationOr } from "./duration.ts";
import type { MeshPolicy } from "./mesh-policy.ts";
import type { ServicePolicy } from "./service-policy.ts";

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

/** Attempts after the first: 2 (Istio). */
export const DEFAULT_RETRIES = 2;

/** What is repeated by default: failures that say nothing about the request itself. */
export const DEFAULT_RETRY_CONDITIONS: readonly RetryCondition[] = [
  "connect-failure",
  "refused-stream",
  "reset",
  "gateway-error",
  "attempt-timeout",
];

/** Upper bound of the first wait: 25 ms (Envoy). */
export const DEFAULT_BACKOFF_BASE_MS = 25;

/** Upper bound of every wait: 250 ms, ten times the base (Envoy). */
export const DEFAULT_BACKOFF_MAX_MS = 250;

/** A retry policy with every field filled in. */
export interface EffectiveRetry {
  /** At least 1: no retries at all is `undefined` instead. */
  readonly retries: number;
  readonly on: ReadonlySet<RetryCondition>;
  readonly statuses: ReadonlySet<number>;
  readonly nonIdempotent: boolean;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
}

/**
 * The retries of a rule: field by field what the rule says, else the mesh, else the defaults. `undefined`: none.
 *
 * @param authored the rule's `retry`; `undefined` also for calls that no rule matched.
 */
export const effectiveRetry = (
  authored: RetryPolicy | false | undefined,
  mesh: MeshPolicy,
): EffectiveRetry | undefined => {
  if (authored === false) return undefined;
  const policy: RetryPolicy = { ...mesh.defaults?.retry, ...authored };
  const retries = policy.retries ?? DEFAULT_RETRIES;
  if (retries === 0) return undefined;
  const backoff = { ...mesh.defaults?.retry?.backoff, ...authored?.backoff };
  const backoffBaseMs = durationOr(backoff.base, DEFAULT_BACKOFF_BASE_MS);
  return {
    retries,
    on: new Set(policy.on ?? DEFAULT_RETRY_CONDITIONS),
    statuses: new Set(policy.statuses),
    nonIdempotent: policy.nonIdempotent ?? false,
    backoffBaseMs,
    backoffMaxMs: durationOr(backoff.max, Math.max(backoffBaseMs, DEFAULT_BACKOFF_MAX_MS)),
  };
};

/** How much load retries may add, per destination service. Both a share and a floor, as Linkerd and Finagle have it. */
export interface RetryBudget {
  /** Retries per request, 0 to 1. @default 0.2 */
  readonly ratio?: number;
  /** Retries per second that are allowed whatever the ratio. Range 0 to 10,000. @default 10 */
  readonly minPerSecond?: number;
  /** How long a request's deposit counts. Range 1s to 60s. @default "10s" */
  readonly ttl?: Duration;
}

/** Retries that each request pays for: 20 % (Linkerd, Finagle). */
export const DEFAULT_RETRY_RATIO = 0.2;

/** Retries per second that need no payment: 10 (Linkerd, Finagle). */
export const DEFAULT_MIN_RETRIES_PER_SECOND = 10;

/** How long a request pays: 10 s (Linkerd, Finagle). */
export const DEFAULT_RETRY_BUDGET_TTL_MS = 10_000;

/** A retry budget with every field filled in. */
export interface EffectiveRetryBudget {
  readonly ratio: number;
  readonly minPerSecond: number;
  readonly ttlMs: number;
}

/** The budget of a service: field by field what it says, else the mesh, else the defaults. */
export const effectiveRetryBudget = (service: ServicePolicy, mesh: MeshPolicy): EffectiveRetryBudget => {
  const budget: RetryBudget = { ...mesh.defaults?.retryBudget, ...service.retryBudget };
  return {
    ratio: budget.ratio ?? DEFAULT_RETRY_RATIO,
    minPerSecond: budget.minPerSecond ?? DEFAULT_MIN_RETRIES_PER_SECOND,
    ttlMs: durationOr(budget.ttl, DEFAULT_RETRY_BUDGET_TTL_MS),
  };
};
