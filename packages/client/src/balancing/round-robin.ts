import type { Random } from "@tulle/time";
import type { FiguresKeeper } from "./figures-keeper.ts";
import type { Balanced, CandidateFigures, Outcome, Picker } from "./picker.ts";
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
export class RoundRobin implements Picker {
  readonly name = "round-robin";
  readonly #weights: Weights;
  readonly #keeper: FiguresKeeper;
  readonly #turns: WeightedTurns;
  #next: number;

  constructor({ weights, keeper, random }: RoundRobinOptions) {
    this.#weights = weights;
    this.#keeper = keeper;
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

  start(candidate: Balanced, _nowMs: number): void {
    this.#keeper.start(candidate);
  }

  end(candidate: Balanced, nowMs: number, outcome: Outcome): void {
    this.#keeper.end(candidate, nowMs, outcome);
  }

  explain(candidates: readonly Balanced[], nowMs: number): readonly CandidateFigures[] {
    // Nothing is compared; the share per turn is what tells them apart.
    return this.#keeper.explain(candidates, nowMs, (candidate) => 1 / this.#weights.of(candidate, nowMs));
  }
}

/** The count of turns begins anew here: small whole numbers divide fast. */
const MOST_TURNS = 2 ** 30;
