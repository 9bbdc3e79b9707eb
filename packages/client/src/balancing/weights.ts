import type { EffectiveSlowStart } from "@tulle/policy";
import type { Balanced } from "./picker.ts";
import { shareAtAge } from "./slow-start.ts";

/**
 * The share of calls that an endpoint should get relative to its siblings: its registered weight, reduced while it is new
 * where the policy asks for a slow start.
 */
export class Weights {
  readonly #slowStart: EffectiveSlowStart | undefined;
  /** What is known of the list that was asked about last. */
  #known: { readonly of: readonly Balanced[]; readonly equal: boolean; readonly settledAtMs: number } | undefined;

  constructor(slowStart: EffectiveSlowStart | undefined) {
    this.#slowStart = slowStart;
  }

  /** Above 0. */
  of({ endpoint, figures }: Balanced, nowMs: number): number {
    const weight = endpoint.weight ?? 1;
    return this.#slowStart === undefined ? weight : weight * shareAtAge(nowMs - figures.joinedAtMs, this.#slowStart);
  }

  /**
   * Whether all have one weight, for which cheaper ways of picking exist. Worked out once for each list, and while some of it
   * start slowly the answer is no.
   */
  areEqual(candidates: readonly Balanced[], nowMs: number): boolean {
    if (this.#known?.of !== candidates) this.#known = { of: candidates, ...this.#look(candidates) };
    return this.#known.equal && nowMs >= this.#known.settledAtMs;
  }

  #look(candidates: readonly Balanced[]): { readonly equal: boolean; readonly settledAtMs: number } {
    const weight = candidates[0]?.endpoint.weight ?? 1;
    let equal = true;
    let settledAtMs = Number.NEGATIVE_INFINITY;
    for (const { endpoint, figures } of candidates) {
      if ((endpoint.weight ?? 1) !== weight) equal = false;
      if (this.#slowStart !== undefined)
        settledAtMs = Math.max(settledAtMs, figures.joinedAtMs + this.#slowStart.windowMs);
    }
    return { equal, settledAtMs };
  }
}
