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

/** Any endpoint, by chance and weight. Compares nothing, so it never chases a figure that is out of date. */
export class RandomChoice extends KeepingPicker {
  readonly name = "random";
  readonly #weights: Weights;
  readonly #random: Random;

  constructor({ weights, keeper, random }: RandomChoiceOptions) {
    super(keeper);
    this.#weights = weights;
    this.#random = random;
  }

  pick<C extends Balanced>(all: readonly C[], tried: ReadonlySet<string> | undefined, nowMs: number): C | undefined {
    const candidates = withoutTried(all, tried);
    const count = candidates.length;
    if (count <= 1) return candidates[0];
    if (this.#weights.areEqual(candidates, nowMs)) return candidates[Math.floor(this.#random() * count)];
    let total = 0;
    for (const candidate of candidates) total += this.#weights.of(candidate, nowMs);
    let drawn = this.#random() * total;
    for (const candidate of candidates) {
      drawn -= this.#weights.of(candidate, nowMs);
      if (drawn < 0) return candidate;
    }
    // Rounding can leave a remainder behind the last one.
    return candidates[count - 1];
  }

  protected override shownLoad(): LoadMeasure {
    return (candidate, nowMs) => 1 / this.#weights.of(candidate, nowMs);
  }
}
