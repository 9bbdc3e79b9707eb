import { decayedPeak, observePeak } from "@tulle/time";
import { stateOf } from "../endpoints/endpoint-state.ts";
import type { LoadMeasure } from "./load-measure.ts";
import type { Balanced, CandidateFigures, Outcome } from "./picker.ts";

/** What a failure without a Retry-After weighs: 5 s (Linkerd). */
export const FAILURE_PENALTY_MS = 5_000;

/** A Retry-After beyond this is cut: 300 s (Linkerd). */
export const MAX_RETRY_AFTER_MS = 300_000;

/**
 * Writes an endpoint's figures, for every balancer alike: explanations show the same numbers whatever the policy, and a
 * policy that changes its balancer finds what was learnt.
 */
export class FiguresKeeper {
  readonly #decayMs: number;

  /** @param decayMs how fast an old latency is forgotten. */
  constructor(decayMs: number) {
    this.#decayMs = decayMs;
  }

  start({ figures }: Balanced): void {
    figures.inFlight++;
  }

  end({ figures }: Balanced, nowMs: number, outcome: Outcome): void {
    figures.inFlight--;
    figures.answered++;
    if (outcome.failed) figures.failed++;
    const penaltyMs = outcome.failed ? Math.min(outcome.retryAfterMs ?? FAILURE_PENALTY_MS, MAX_RETRY_AFTER_MS) : 0;
    observePeak(figures.rtt, Math.max(outcome.rttMs, penaltyMs), nowMs, this.#decayMs);
    figures.measured = true;
  }

  explain(candidates: readonly Balanced[], nowMs: number, loadOf: LoadMeasure): readonly CandidateFigures[] {
    return candidates.map((candidate) => {
      const { endpoint, figures } = candidate;
      return {
        endpoint: endpoint.id,
        state: stateOf(candidate, nowMs),
        inFlight: figures.inFlight,
        answered: figures.answered,
        failed: figures.failed,
        rttMs: figures.measured ? decayedPeak(figures.rtt, nowMs, this.#decayMs) : undefined,
        load: loadOf(candidate, nowMs),
      };
    });
  }
}
