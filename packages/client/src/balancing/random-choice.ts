import type { Random } from "@tulle/time";
import type { FiguresKeeper } from "./figures-keeper.ts";
import { KeepingPicker } from "./keeping-picker.ts";
import type { LoadMeasure } from "./load-measure.ts";
import type { Balanced } from "./picker.ts";
import { withoutTried } from "./tried.ts";
import type { Weights } from "./weights.ts";

/** What makes a {@link RandomChoice}. */
export interface RandomChoiceOptions {
  readonly weights: Weights;
  readonly keeper: FiguresKeeper;
  readonly random: Random;
}

/** Draws before the whole list is looked at: enough unless nearly all were tried, or have only begun a slow start. */
const MOST_DRAWS = 32;

/** Any endpoint, by chance and weight. Compares nothing, so it never chases a figure that is out of date. */
export class RandomChoice extends KeepingPicker {
  readonly name = "random";
  readonly #weights: Weights;
  readonly #random: Random;
  /** The registered weights of the list that was asked about last, each with those before it. */
  #known: { readonly of: readonly Balanced[]; readonly sums: Float64Array } | undefined;

  constructor({ weights, keeper, random }: RandomChoiceOptions) {
    super(keeper);
    this.#weights = weights;
    this.#random = random;
  }

  pick<C extends Balanced>(all: readonly C[], tried: ReadonlySet<string> | undefined, nowMs: number): C | undefined {
    if (all.length <= 1) return all[0];
    if (!this.#weights.areEqual(all, nowMs)) return this.#byWeight(all, tried, nowMs);
    const candidates = withoutTried(all, tried);
    return candidates[Math.floor(this.#random() * candidates.length)];
  }

  /** Draws again while it meets one that was tried, and as often as slow starts ask: what is left keeps its proportions. */
  #byWeight<C extends Balanced>(
    all: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
  ): C | undefined {
    const sums = this.#sumsOf(all);
    const total = sums.at(-1) ?? 0;
    for (let draw = 0; draw < MOST_DRAWS; draw++) {
      const candidate = all[placeOf(sums, this.#random() * total)];
      if (candidate === undefined || tried?.has(candidate.endpoint.id) === true) continue;
      const share = this.#weights.of(candidate, nowMs) / (candidate.endpoint.weight ?? 1);
      if (share >= 1 || this.#random() < share) return candidate;
    }
    return this.#byScan(withoutTried(all, tried), nowMs);
  }

  #byScan<C extends Balanced>(candidates: readonly C[], nowMs: number): C | undefined {
    let total = 0;
    for (const candidate of candidates) total += this.#weights.of(candidate, nowMs);
    let drawn = this.#random() * total;
    for (const candidate of candidates) {
      drawn -= this.#weights.of(candidate, nowMs);
      if (drawn < 0) return candidate;
    }
    // Rounding can leave a remainder behind the last one.
    return candidates.at(-1);
  }

  #sumsOf(all: readonly Balanced[]): Float64Array {
    if (this.#known?.of !== all) {
      let sum = 0;
      const sums = Float64Array.from(all, ({ endpoint }) => {
        sum += endpoint.weight ?? 1;
        return sum;
      });
      this.#known = { of: all, sums };
    }
    return this.#known.sums;
  }

  protected override shownLoad(): LoadMeasure {
    return (candidate, nowMs) => 1 / this.#weights.of(candidate, nowMs);
  }
}

/** The first place whose sum is above a point. */
const placeOf = (sums: Float64Array, point: number): number => {
  let from = 0;
  let to = sums.length - 1;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((sums[middle] ?? 0) > point) to = middle;
    else from = middle + 1;
  }
  return from;
};
