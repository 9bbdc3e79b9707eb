import { decayedPeak, observePeak } from "@tulle/time";
import type { EndpointFigures } from "../endpoints/endpoint-figures.ts";
import type { Balanced, Outcome } from "./picker.ts";

/** What a failure without a Retry-After weighs: 5 s (Linkerd). */
export const FAILURE_PENALTY_MS = 5_000;

/** A Retry-After beyond this is cut: 300 s (Linkerd). */
export const MAX_RETRY_AFTER_MS = 300_000;

/** How loaded an endpoint is; the way of picking compares it. */
export interface LoadMeasure {
  readonly name: string;
  loadOf(candidate: Balanced, nowMs: number): number;
  observe(figures: EndpointFigures, nowMs: number, outcome: Outcome): void;
  /** Average latency now, for explanations; `undefined` before the first answer. */
  rttOf(figures: EndpointFigures, nowMs: number): number | undefined;
}

/** Latency × (calls in flight + 1) ÷ weight, with the latency as peak EWMA. */
export class PeakEwmaLoad implements LoadMeasure {
  readonly name = "peak-ewma";
  readonly #decayMs: number;
  readonly #defaultRttMs: number;

  constructor(policy: { readonly decayMs: number; readonly defaultRttMs: number }) {
    this.#decayMs = policy.decayMs;
    this.#defaultRttMs = policy.defaultRttMs;
  }

  loadOf({ endpoint, figures }: Balanced, nowMs: number): number {
    const cost = figures.measured
      ? decayedPeak(figures.rtt, nowMs, this.#decayMs)
      : // A newcomer gets one call at once and no second before it has answered (Finagle). With the default latency from
        // the start it would get none for half a minute beside siblings that answer in a millisecond.
        figures.inFlight === 0
        ? 0
        : this.#defaultRttMs;
    return (cost * (figures.inFlight + 1)) / (endpoint.weight ?? 1);
  }

  observe(figures: EndpointFigures, nowMs: number, outcome: Outcome): void {
    const penaltyMs = outcome.failed ? Math.min(outcome.retryAfterMs ?? FAILURE_PENALTY_MS, MAX_RETRY_AFTER_MS) : 0;
    observePeak(figures.rtt, Math.max(outcome.rttMs, penaltyMs), nowMs, this.#decayMs);
    figures.measured = true;
  }

  rttOf(figures: EndpointFigures, nowMs: number): number | undefined {
    return figures.measured ? decayedPeak(figures.rtt, nowMs, this.#decayMs) : undefined;
  }
}
