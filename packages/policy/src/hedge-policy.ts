import { type Duration, parseDuration } from "./duration.ts";
import { durationLimits, numberLimits } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";

/**
 * Asking a further endpoint when an answer is late, as gRPC's hedging policy and Finagle's backup requests do. Exactly one of
 * `delay` and `quantile` is set. The first success wins, and the other attempts are given up on the wire. Each hedge is paid for
 * by the destination's retry budget.
 */
export interface HedgePolicy {
  /** How long to wait for an answer before each further attempt. Range 1ms to 5m. */
  readonly delay?: Duration;
  /**
   * Instead of a fixed wait: as long as this share of the destination's answers take at most, as this member has measured
   * them lately. While it has measured too few nothing is hedged. Range 0.5 to 0.999.
   */
  readonly quantile?: number;
  /** Attempts beside the first. Range 1 to 4. @default 1 */
  readonly attempts?: number;
  /** Hedge methods that are not idempotent (POST, PATCH) as well. @default false */
  readonly nonIdempotent?: boolean;
}

/** Attempts beside the first: 1 (Finagle). */
export const DEFAULT_HEDGES = 1;

/** A hedge policy with every field filled in. */
export interface EffectiveHedge {
  /** When an attempt is late. */
  readonly after: { readonly delayMs: number } | { readonly quantile: number };
  readonly attempts: number;
  readonly nonIdempotent: boolean;
}

/** The hedging of a rule; `undefined`: none. */
export const effectiveHedge = (policy: HedgePolicy | undefined): EffectiveHedge | undefined => {
  if (policy === undefined) return undefined;
  const { delay, quantile, attempts = DEFAULT_HEDGES, nonIdempotent = false } = policy;
  if (delay !== undefined) return { after: { delayMs: parseDuration(delay) }, attempts, nonIdempotent };
  return quantile === undefined ? undefined : { after: { quantile }, attempts, nonIdempotent };
};

/** What is wrong with the fields that say when, if anything. */
export const wrongHedge = ({ delay, quantile }: HedgePolicy): string | undefined => {
  if (delay === undefined && quantile === undefined)
    return "nothing says when an answer is late: set delay or quantile";
  return delay !== undefined && quantile !== undefined ? "delay and quantile are set: set exactly one" : undefined;
};

/** Checks a rule's hedging. */
export const checkHedge = (path: PolicyPath, hedge: HedgePolicy | undefined, check: Check): void => {
  if (hedge === undefined) return;
  const message = wrongHedge(hedge);
  if (message !== undefined) check.report(path, message);
  check.duration([...path, "delay"], hedge.delay, durationLimits.hedgeDelay);
  check.number([...path, "quantile"], hedge.quantile, numberLimits.hedgeQuantile);
  check.number([...path, "attempts"], hedge.attempts, numberLimits.hedgeAttempts);
};
