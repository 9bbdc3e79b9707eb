import { type Duration, durationOr } from "./duration.ts";
import { type NumberLimit, numberLimits, wrongNumber } from "./field-limits.ts";
import type { MeshPolicy } from "./mesh-policy.ts";
import type { ServicePolicy } from "./service-policy.ts";
import type { StringMatch } from "./string-match.ts";

/** When a failed attempt may be repeated; the words are those of Envoy's `retry_on` and `retry_grpc_on`, and one of ours. */
export const retryConditions = [
  "connect-failure",
  "refused-stream",
  "reset",
  "reset-before-request",
  "gateway-error",
  "5xx",
  "retriable-4xx",
  "envoy-ratelimited",
  "retriable-status-codes",
  "retriable-headers",
  "attempt-timeout",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
] as const;

/**
 * A condition under which an attempt is repeated.
 *
 * - `connect-failure`: no connection could be made, or its peer could not prove who it is.
 * - `refused-stream`: a peer's gate refused the call before its handler saw it.
 * - `reset`: the attempt got no answer, whatever the reason.
 * - `reset-before-request`: the same, and the request was provably not sent.
 * - `gateway-error`: 502, 503, 504, or no answer.
 * - `5xx`: any status from 500, or no answer.
 * - `retriable-4xx`: 409.
 * - `envoy-ratelimited`: the reply has `x-envoy-ratelimited`. Without this condition such a reply is never repeated.
 * - `retriable-status-codes`, `retriable-headers`: what `statuses` and `retriableHeaders` name. Naming them there is enough.
 * - `attempt-timeout`: the attempt took longer than `attemptTimeout` (ours; Envoy has it within `reset`, `gateway-error` and `5xx`).
 * - `cancelled`, `deadline-exceeded`, `internal`, `resource-exhausted`, `unavailable`: the reply's headers have that `grpc-status`.
 */
export type RetryCondition = (typeof retryConditions)[number];

/** A range of statuses, ends included: `"500-599"`. */
export type StatusRange = `${number}-${number}`;

/** Repeating a failed call. */
export interface RetryPolicy {
  /** Attempts after the first one. Range 0 to 10. @default 2 (Istio) */
  readonly retries?: number;
  /**
   * Conditions under which an attempt is repeated. Whatever they say, a method that is not idempotent is repeated only
   * when its attempt is provably unsent, unless `nonIdempotent` is set or the call has an `Idempotency-Key` header.
   * @default ["connect-failure", "refused-stream", "reset", "gateway-error", "attempt-timeout"]
   */
  readonly on?: readonly RetryCondition[];
  /** Also repeat on these response statuses, single ones or ranges as `"500-599"`, 400 to 599. @default [] */
  readonly statuses?: readonly (number | StatusRange)[];
  /** Also repeat replies of which a header fits, by header name; any of them. Envoy's `retriable_headers`. @default {} */
  readonly retriableHeaders?: Readonly<Record<string, StringMatch>>;
  /** Repeat only calls of which a header fits, by header name; any of them. Envoy's `retriable_request_headers`. @default every call */
  readonly retriableRequestHeaders?: Readonly<Record<string, StringMatch>>;
  /** Repeat methods that are not idempotent (POST, PATCH) as well. @default false */
  readonly nonIdempotent?: boolean;
  /**
   * Also repeat what a hop further on has repeated in vain, and the calls of a visit that is itself a retry. Retries of
   * several hops then multiply. @default false
   */
  readonly stacked?: boolean;
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
  readonly retriableHeaders: Readonly<Record<string, StringMatch>>;
  readonly retriableRequestHeaders: Readonly<Record<string, StringMatch>>;
  readonly nonIdempotent: boolean;
  readonly stacked: boolean;
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
    statuses: new Set((policy.statuses ?? []).flatMap(statusesOf)),
    retriableHeaders: policy.retriableHeaders ?? {},
    retriableRequestHeaders: policy.retriableRequestHeaders ?? {},
    nonIdempotent: policy.nonIdempotent ?? false,
    stacked: policy.stacked ?? false,
    backoffBaseMs,
    backoffMaxMs: durationOr(backoff.max, Math.max(backoffBaseMs, DEFAULT_BACKOFF_MAX_MS)),
  };
};

/** The statuses that a status or a range of them means; none for a malformed range. */
export const statusesOf = (written: number | StatusRange): readonly number[] => {
  if (typeof written === "number") return [written];
  const [from, to] = boundsOf(written) ?? [0, -1];
  return Array.from({ length: to - from + 1 }, (_, place) => from + place);
};

const boundsOf = (range: string): readonly [number, number] | undefined => {
  const [, from, to] = /^([1-5]\d\d)-([1-5]\d\d)$/.exec(range) ?? [];
  return from === undefined || to === undefined || from > to ? undefined : [Number(from), Number(to)];
};

/**
 * What is wrong with a status or a range of statuses, if anything.
 *
 * @param limit where they must lie. Default: those of failures.
 */
export const wrongStatuses = (
  written: number | string,
  limit: NumberLimit = numberLimits.status,
): string | undefined => {
  const { min, max } = limit;
  if (typeof written === "number") return wrongNumber(written, limit);
  const [from, to] = boundsOf(written) ?? [0, 0];
  return from >= min && to <= max
    ? undefined
    : `"${written}" is not a range of statuses: write it as "500-599", within ${min} to ${max}`;
};

/** Names a condition that can never hold, for what it speaks of is not said. */
export const wrongConditions = ({ on, statuses, retriableHeaders }: RetryPolicy): string | undefined => {
  if (on?.includes("retriable-status-codes") === true && (statuses ?? []).length === 0) {
    return '"retriable-status-codes" needs statuses';
  }
  if (on?.includes("retriable-headers") === true && Object.keys(retriableHeaders ?? {}).length === 0) {
    return '"retriable-headers" needs retriableHeaders';
  }
  return undefined;
};

/**
 * How much load retries may add, per destination service: within its time-to-live at most the share of the calls, or the floor
 * where that is more.
 */
export interface RetryBudget {
  /** Retries per request, 0 to 1. @default 0.2 */
  readonly ratio?: number;
  /** Retries per second that are allowed where the ratio allows fewer. Range 0 to 10,000. @default 10 */
  readonly minPerSecond?: number;
  /** How long a request's deposit counts. Range 1s to 60s. @default "10s" */
  readonly ttl?: Duration;
}

/** Retries that each request pays for: 20 % (Linkerd, Finagle). */
export const DEFAULT_RETRY_RATIO = 0.2;

/** Retries per second that are allowed however few calls there are: 10 (Linkerd, Finagle). */
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
