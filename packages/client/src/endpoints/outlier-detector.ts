import type { EffectiveOutlierDetection } from "@tulle/policy";
import type { Random } from "@tulle/time";
import { FailureWindows } from "./failure-window.ts";
import {
  type EjectionCause,
  type EjectionDecision,
  eject,
  isOut,
  type Judged,
  noteOutcome,
  type OutlierOutcome,
  sweep,
} from "./outlier-ejection.ts";

/** What makes an {@link OutlierDetector}. */
export interface OutlierDetectorOptions {
  readonly policy: EffectiveOutlierDetection;
  /** All endpoints of the service, of every subset: the share that may be ejected is one of these. */
  readonly all: () => readonly Judged[];
  readonly random: Random;
  readonly nowMs: number;
  /** Hears of each decision, also of those not to eject, and why. */
  readonly onDecision?: ((decision: EjectionDecision) => void) | undefined;
}

/**
 * Watches the endpoints of one service. Has no timer: the intervals are told from the calls, so a service that nobody calls
 * costs nothing.
 */
export class OutlierDetector {
  readonly #policy: EffectiveOutlierDetection;
  readonly #all: () => readonly Judged[];
  readonly #random: Random;
  readonly #onDecision: ((decision: EjectionDecision) => void) | undefined;
  /** `undefined` where shares of failures are compared at the end of an interval, or not at all. */
  readonly #windows: FailureWindows | undefined;
  #intervalEndMs: number;

  constructor({ policy, all, random, nowMs, onDecision }: OutlierDetectorOptions) {
    this.#policy = policy;
    this.#all = all;
    this.#random = random;
    this.#onDecision = onDecision;
    this.#intervalEndMs = nowMs + policy.intervalMs;
    const { failurePercentage } = policy;
    const windowMs = failurePercentage?.windowMs;
    this.#windows =
      failurePercentage === undefined || windowMs === undefined
        ? undefined
        : new FailureWindows({ ...failurePercentage, windowMs });
  }

  /** A call to an endpoint ended. @param isProbe what `beginCall` said of it. */
  observe(judged: Judged, outcome: OutlierOutcome, isProbe: boolean, nowMs: number): void {
    if (nowMs >= this.#intervalEndMs) this.#sweep(nowMs);
    const cause =
      noteOutcome(judged.figures.outlier, this.#policy, outcome, isProbe) ?? this.#judgeWindow(judged, outcome, nowMs);
    if (cause === undefined) return;
    this.#windows?.forget(judged);
    const decision = eject(judged, this.#all(), this.#policy, cause, nowMs, this.#random);
    this.#onDecision?.(decision);
  }

  #judgeWindow(judged: Judged, outcome: OutlierOutcome, nowMs: number): EjectionCause | undefined {
    if (this.#windows === undefined || isOut(judged.figures.outlier)) return undefined;
    const fails = this.#windows.note(judged, outcome !== "success", this.#all(), nowMs);
    return fails ? "failure-percentage" : undefined;
  }

  #sweep(nowMs: number): void {
    const { intervalMs } = this.#policy;
    const passed = 1 + Math.floor((nowMs - this.#intervalEndMs) / intervalMs);
    this.#intervalEndMs += passed * intervalMs;
    const decisions = sweep(this.#all(), this.#policy, passed, nowMs, this.#random);
    for (const decision of decisions) this.#onDecision?.(decision);
  }
}
