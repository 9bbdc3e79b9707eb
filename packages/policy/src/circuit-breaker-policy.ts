import { type Duration, durationOr, parseDuration } from "./duration.ts";
import { durationLimits, numberLimits } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import { type StatusRange, statusesOf, wrongStatuses } from "./retry-policy.ts";
import type { ServicePolicy } from "./service-policy.ts";

/** What a circuit may count as a failure; the words are those of the retry conditions. */
export const circuitFailures = [
  "gateway-error",
  "5xx",
  "connect-failure",
  "reset",
  "attempt-timeout",
  "timeout",
] as const;

/**
 * A kind of failure that a circuit counts.
 *
 * - `gateway-error`: 502, 503, 504. A gate's refusal is none: it comes from an instance that drains or knows its rules.
 * - `5xx`: any status from 500, likewise.
 * - `connect-failure`: no connection could be made, or its peer could not prove who it is.
 * - `reset`: the connection or the reply broke off.
 * - `attempt-timeout`: the attempt took longer than `attemptTimeout`.
 * - `timeout`: the call's time ran out while the attempt was under way.
 */
export type CircuitFailure = (typeof circuitFailures)[number];

/** The circuit of a destination (service and subset), or of each rule's way to it. It opens by rate, by a row, or by either. */
export interface CircuitBreaker {
  /**
   * Who shares a circuit: all calls to a destination, or those of one rule to it, so that one failing path does not shut the
   * others. A rule's circuit is known by the rule's name, one without a name by its place. @default "destination"
   */
  readonly scope?: "destination" | "rule";
  /** Share of failures that opens it, in percent, above 0 to 100; `false`: the rate does not matter. @default 50 */
  readonly errorPercent?: number | false;
  /** Calls within the window below which the rate never opens it. Range 1 to 1,000,000. @default 20 */
  readonly minimumVolume?: number;
  /** Range 100ms to 1h. @default "10s" */
  readonly window?: Duration;
  /** Failures in a row that open it, however few calls there are; 0 turns it off. Range 0 to 1000. @default 0 */
  readonly consecutiveFailures?: number;
  /** What counts as a failure; all else that was answered is a success. @default all but "5xx" */
  readonly failures?: readonly CircuitFailure[];
  /** Statuses that count as failures as well, single ones or ranges as `"500-599"`, 400 to 599. @default [] */
  readonly statuses?: readonly (number | StatusRange)[];
  /** How long it stays open before it is half-open and probes the destination. Range 1ms to 1h. @default "5s" */
  readonly openFor?: Duration;
  /** Each opening by a failed probe lasts twice as long as the one before, up to this. Range 1ms to 1h. @default openFor, no growth */
  readonly maxOpenFor?: Duration;
  /** Calls that may probe at a time while it is half-open; as many successes close it. Range 1 to 100. @default 1 */
  readonly halfOpenProbes?: number;
}

/** Share of failures that opens the circuit: 50 % (opossum, Hystrix). */
export const DEFAULT_ERROR_PERCENT = 50;

/** Calls below which it never opens: 20 (Hystrix); one failure alone must never open it. */
export const DEFAULT_MINIMUM_VOLUME = 20;

/** The time over which calls are counted: 10 s (opossum, Hystrix). */
export const DEFAULT_CIRCUIT_WINDOW_MS = 10_000;

/** How long it stays open before a probe: 5 s (Hystrix's sleep window). */
export const DEFAULT_OPEN_FOR_MS = 5_000;

/** Calls that probe at a time: 1 (opossum, Hystrix). */
export const DEFAULT_HALF_OPEN_PROBES = 1;

/** What counts as a failure: that a destination cannot serve. An error of a handler (500) is its answer. */
export const DEFAULT_CIRCUIT_FAILURES: readonly CircuitFailure[] = [
  "gateway-error",
  "connect-failure",
  "reset",
  "attempt-timeout",
  "timeout",
];

/** A circuit breaker with every field filled in. */
export interface EffectiveCircuitBreaker {
  readonly scope: "destination" | "rule";
  /** `undefined`: the rate does not matter. */
  readonly errorPercent: number | undefined;
  readonly minimumVolume: number;
  readonly windowMs: number;
  /** 0: a row of failures does not matter. */
  readonly consecutiveFailures: number;
  readonly failures: readonly CircuitFailure[];
  readonly statuses: readonly number[];
  readonly openForMs: number;
  readonly maxOpenForMs: number;
  readonly halfOpenProbes: number;
}

/** The circuit breaker of a service, or `undefined` when it is turned off. */
export const effectiveCircuitBreaker = (service: ServicePolicy): EffectiveCircuitBreaker | undefined => {
  if (service.circuitBreaker === false) return undefined;
  const policy = service.circuitBreaker ?? {};
  const openForMs = durationOr(policy.openFor, DEFAULT_OPEN_FOR_MS);
  return {
    scope: policy.scope ?? "destination",
    errorPercent: policy.errorPercent === false ? undefined : (policy.errorPercent ?? DEFAULT_ERROR_PERCENT),
    minimumVolume: policy.minimumVolume ?? DEFAULT_MINIMUM_VOLUME,
    windowMs: durationOr(policy.window, DEFAULT_CIRCUIT_WINDOW_MS),
    consecutiveFailures: policy.consecutiveFailures ?? 0,
    failures: policy.failures ?? DEFAULT_CIRCUIT_FAILURES,
    statuses: (policy.statuses ?? []).flatMap(statusesOf),
    openForMs,
    maxOpenForMs: durationOr(policy.maxOpenFor, openForMs),
    halfOpenProbes: policy.halfOpenProbes ?? DEFAULT_HALF_OPEN_PROBES,
  };
};

/** Whether the figures make sense, and whether the circuit could ever open. */
export const checkCircuitBreaker = (breaker: CircuitBreaker | false | undefined, check: Check): void => {
  if (breaker === undefined || breaker === false) return;
  const at = "circuitBreaker";
  const { errorPercent, consecutiveFailures, failures, statuses, openFor, maxOpenFor } = breaker;
  check.number([at, "errorPercent"], errorPercent === false ? undefined : errorPercent, numberLimits.errorPercent);
  check.number([at, "minimumVolume"], breaker.minimumVolume, numberLimits.minimumVolume);
  check.duration([at, "window"], breaker.window, durationLimits.circuitWindow);
  check.number([at, "consecutiveFailures"], consecutiveFailures, numberLimits.consecutiveFailures);
  check.duration([at, "openFor"], openFor, durationLimits.openFor);
  check.duration([at, "maxOpenFor"], maxOpenFor, durationLimits.maxOpenFor);
  check.number([at, "halfOpenProbes"], breaker.halfOpenProbes, numberLimits.halfOpenProbes);
  for (const [place, status] of (statuses ?? []).entries()) {
    const message = wrongStatuses(status);
    if (message !== undefined) check.report([at, "statuses", place], message);
  }
  if (errorPercent === false && (consecutiveFailures ?? 0) === 0) {
    check.report(
      [at, "errorPercent"],
      "neither the rate nor a row of failures could open it: write circuitBreaker: false",
    );
  }
  if (failures?.length === 0 && (statuses ?? []).length === 0) {
    check.report([at, "failures"], "nothing counts as a failure, so it could never open: write circuitBreaker: false");
  }
  if (isShorter(maxOpenFor, openFor)) check.report([at, "maxOpenFor"], `"${maxOpenFor}" is shorter than openFor`);
};

/** Whether a longest time is shorter than the first one. Malformed ones are reported by themselves. */
const isShorter = (longest: Duration | undefined, first: Duration | undefined): boolean => {
  try {
    return longest !== undefined && parseDuration(longest) < durationOr(first, DEFAULT_OPEN_FOR_MS);
  } catch {
    return false;
  }
};
