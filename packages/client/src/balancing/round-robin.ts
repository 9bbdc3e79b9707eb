import type { Random } from "@tulle/time";
import type { FiguresKeeper } from "./figures-keeper.ts";
import { KeepingPicker } from "./keeping-picker.ts";
import type { LoadMeasure } from "./load-measure.ts";
import type { Balanced } from "./picker.ts";
import { WeightedTurns } from "./weighted-turns.ts";
import type { Weights } from "./weights.ts";

/** What makes a {@link RoundRobin}. */
export interface RoundRobinOptions {
  readonly weights: Weights;
  readonly keeper: FiguresKeeper;
  readonly random: Random;
}

/**
 * One after the other, from a place that chance chose, so that clients that start together do not call in step. Endpoints of
 * different weights take their turns by earliest deadline first.
 */
export class RoundRobin extends KeepingPicker {
  readonly name = "round-robin";
  readonly #weights: Weights;
  readonly #turns: WeightedTurns;
  #next: number;

  constructor({ weights, keeper, random }: RoundRobinOptions) {
    super(keeper);
    this.#weights = weights;
    this.#turns = new WeightedTurns(random);
    this.#next = Math.floor(random() * MOST_TURNS);
  }

  pick<C extends Balanced>(all: readonly C[], tried: ReadonlySet<string> | undefined, nowMs: number): C | undefined {
    const count = all.length;
    if (count <= 1) return all[0];
    if (!this.#weights.areEqual(all, nowMs)) {
      return this.#turns.next(all, tried, (candidate) => this.#weights.of(candidate, nowMs));
    }
    this.#turns.forget();
    let last: C | undefined;
    // Whoever was tried is passed over; after a whole round of tried ones the last of them is as good as any.
    for (let turn = 0; turn < count; turn++) {
      last = all[this.#next % count];
      this.#next = (this.#next + 1) % MOST_TURNS;
      if (last === undefined || tried?.has(last.endpoint.id) !== true) return last;
    }
    return last;
  }

  protected override shownLoad(): LoadMeasure {
    // Nothing is compared; the share per turn is what tells them apart.
    return (candidate, nowMs) => 1 / this.#weights.of(candidate, nowMs);
  }
}

/** The count of turns begins anew here: small whole numbers divide fast. */
const MOST_TURNS = 2 ** 30;
