import { decayedPeak } from "@tulle/time";
import type { Balanced } from "./picker.ts";
import type { Weights } from "./weights.ts";

/** What load means: how one endpoint compares to another. Lower is better. Read-only: figures are written by the picker. */
export type LoadMeasure = (candidate: Balanced, nowMs: number) => number;

/** Latency × (calls in flight + 1) ÷ weight, with the latency as decaying peak (Finagle, Linkerd). */
export const peakEwmaLoad =
  (policy: { readonly decayMs: number; readonly defaultRttMs: number }, weights: Weights): LoadMeasure =>
  (candidate, nowMs) => {
    const { figures } = candidate;
    const cost = figures.measured
      ? decayedPeak(figures.rtt, nowMs, policy.decayMs)
      : // A newcomer gets one call at once and no second before it has answered (Finagle). With the default latency from
        // the start it would get none for half a minute beside siblings that answer in a millisecond.
        figures.inFlight === 0
        ? 0
        : policy.defaultRttMs;
    return (cost * (figures.inFlight + 1)) / weights.of(candidate, nowMs);
  };

/** Calls in flight ÷ weight; one more is counted, so that weights matter between idle endpoints too. */
export const inFlightLoad =
  (weights: Weights): LoadMeasure =>
  (candidate, nowMs) =>
    (candidate.figures.inFlight + 1) / weights.of(candidate, nowMs);
