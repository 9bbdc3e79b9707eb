import type { Hash64 } from "../hashing/xxh64.ts";
import type { FiguresKeeper } from "./figures-keeper.ts";
import type { LoadMeasure } from "./load-measure.ts";
import type { Balanced, CandidateFigures, Outcome, Picker } from "./picker.ts";

/**
 * A picker that keeps the figures of endpoints as all others do, so that what was learnt stays when a policy changes its
 * balancer. Pickers differ in whom they pick, and in what they show of the choice.
 */
export abstract class KeepingPicker implements Picker {
  abstract readonly name: string;
  readonly #keeper: FiguresKeeper;

  constructor(keeper: FiguresKeeper) {
    this.#keeper = keeper;
  }

  abstract pick<C extends Balanced>(
    candidates: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    key?: Hash64,
  ): C | undefined;

  /** What explanations show as the load of each of these candidates. */
  protected abstract shownLoad(candidates: readonly Balanced[], nowMs: number): LoadMeasure;

  start(candidate: Balanced, _nowMs: number): void {
    this.#keeper.start(candidate);
  }

  end(candidate: Balanced, nowMs: number, outcome: Outcome): void {
    this.#keeper.end(candidate, nowMs, outcome);
  }

  explain(candidates: readonly Balanced[], nowMs: number): readonly CandidateFigures[] {
    return this.#keeper.explain(candidates, nowMs, this.shownLoad(candidates, nowMs));
  }
}
