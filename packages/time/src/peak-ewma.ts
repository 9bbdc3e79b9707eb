/**
 * A moving average of a latency that jumps to a peak at once and forgets it slowly: an endpoint that turns slow is noticed
 * with its first slow answer (Finagle's `PeakEwma`, Linkerd). State, moved by {@link observePeak}.
 */
export interface PeakEwma {
  /** The average at `stampMs`, milliseconds. */
  costMs: number;
  /** Clock milliseconds of the last observation. */
  stampMs: number;
}

/** Takes in one latency: a peak replaces the average, less moves it by `1 - e^(-elapsed / decay)`. */
export const observePeak = (average: PeakEwma, latencyMs: number, nowMs: number, decayMs: number): void => {
  if (latencyMs > average.costMs) {
    average.costMs = latencyMs;
  } else {
    const kept = keptShare(average, nowMs, decayMs);
    average.costMs = average.costMs * kept + latencyMs * (1 - kept);
  }
  average.stampMs = Math.max(average.stampMs, nowMs);
};

/** The average now. Silence decays it towards 0, so that whoever was slow is tried again. */
export const decayedPeak = (average: PeakEwma, nowMs: number, decayMs: number): number =>
  average.costMs * keptShare(average, nowMs, decayMs);

const keptShare = (average: PeakEwma, nowMs: number, decayMs: number): number =>
  Math.exp(-Math.max(0, nowMs - average.stampMs) / decayMs);
