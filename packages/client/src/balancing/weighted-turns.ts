import type { Random } from "@tulle/time";
import { EdfScheduler } from "./edf-scheduler.ts";
import type { Balanced } from "./picker.ts";

/** Turns in proportion to weights over a list of endpoints; the turns go on when the list changes. */
export class WeightedTurns {
  readonly #random: Random;
  #schedule: { of: readonly Balanced[]; readonly turns: EdfScheduler<Balanced> } | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Whose turn it is. Whoever was tried is passed over, while another one is left. */
  next<C extends Balanced>(
    all: readonly C[],
    tried: ReadonlySet<string> | undefined,
    weightOf: (candidate: Balanced) => number,
  ): C | undefined {
    this.#schedule ??= { of: all, turns: new EdfScheduler(all, weightOf, this.#random) };
    if (this.#schedule.of !== all) {
      this.#schedule.turns.update(all, weightOf);
      this.#schedule.of = all;
    }
    const { turns } = this.#schedule;
    let last: C | undefined;
    for (let turn = 0; turn < all.length; turn++) {
      // The schedule was made from this very list.
      last = turns.pick(weightOf) as C | undefined;
      if (last === undefined || tried?.has(last.endpoint.id) !== true) return last;
    }
    // A round can pass without the turn of a light one.
    return all.find(({ endpoint }) => tried?.has(endpoint.id) !== true) ?? last;
  }

  /** Forgets the schedule, which weights that have become equal do not need. */
  forget(): void {
    this.#schedule = undefined;
  }
}
