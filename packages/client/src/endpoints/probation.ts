import type { Random } from "@tulle/time";

/** How long an endpoint is avoided after its first unanswered call: 1 s (Linkerd). */
export const FIRST_PROBATION_MS = 1_000;

/** The longest time it is avoided: 60 s (Linkerd). */
export const LONGEST_PROBATION_MS = 60_000;

/** Up to this share is added to each time, so that clients do not come back together: 0.5 (Linkerd). */
export const PROBATION_JITTER = 0.5;

/**
 * What a client knows of whether an endpoint can be reached at all: no connection, the wrong identity, or a connection that
 * broke before an answer are held against it until an answer of any status. After each time of probation one call probes
 * it, and each probe that fails doubles the next time. Endpoints on probation are avoided, never forbidden: where nobody
 * else is left they are called.
 */
export interface Reachability {
  /** Failures in a row, of which those that were under way together count once; 0: nothing is held against it. */
  failures: number;
  /** Clock milliseconds until which it is avoided. */
  avoidedUntilMs: number;
  /** Whether a call is out to learn if it can be reached again. */
  probing: boolean;
}

/** Nothing is held against an endpoint that was never called. */
export const newReachability = (): Reachability => ({ failures: 0, avoidedUntilMs: 0, probing: false });

/** Whether calls should go elsewhere. */
export const isAvoided = (reach: Reachability, nowMs: number): boolean =>
  reach.failures > 0 && nowMs < reach.avoidedUntilMs;

/** A call goes to the endpoint. Once its time is over that is the probe, and nobody follows it for a moment. */
export const noteSent = (reach: Reachability, nowMs: number): void => {
  if (reach.failures === 0 || nowMs < reach.avoidedUntilMs) return;
  reach.probing = true;
  reach.avoidedUntilMs = nowMs + FIRST_PROBATION_MS;
};

/** The endpoint answered, whatever it said. */
export const noteReached = (reach: Reachability): void => {
  reach.failures = 0;
  reach.probing = false;
};

/** A call could not reach it. */
export const noteUnreachable = (reach: Reachability, nowMs: number, random: Random): void => {
  if (reach.failures > 0 && !reach.probing) return;
  const probationMs = Math.min(LONGEST_PROBATION_MS, FIRST_PROBATION_MS * 2 ** reach.failures);
  reach.failures++;
  reach.probing = false;
  reach.avoidedUntilMs = nowMs + probationMs * (1 + PROBATION_JITTER * random());
};
