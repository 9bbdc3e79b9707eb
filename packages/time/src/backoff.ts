import type { Random } from "./random.ts";

/** How long to wait before trying again. */
export interface Backoff {
  /** Upper bound of the first wait. */
  readonly baseMs: number;
  /** Upper bound of every wait. */
  readonly maxMs: number;
}

/**
 * Full jitter: a time from 0 to `baseMs * 2^(n-1)`, at most `maxMs`, before the n-th repetition (Envoy's formula). The
 * whole range is drawn from, so that callers that failed together do not come back together.
 *
 * @param repetition from 1
 */
export const fullJitterMs = (backoff: Backoff, repetition: number, random: Random): number =>
  random() * Math.min(backoff.maxMs, backoff.baseMs * 2 ** (repetition - 1));
