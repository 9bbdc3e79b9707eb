import type { Random } from "@tulle/time";
import { ChoiceOfN } from "./choice-of-n.ts";
import type { FiguresKeeper } from "./figures-keeper.ts";
import { KeepingPicker } from "./keeping-picker.ts";
import { inFlightLoad, type LoadMeasure } from "./load-measure.ts";
import type { Balanced } from "./picker.ts";
import { WeightedTurns } from "./weighted-turns.ts";
import type { Weights } from "./weights.ts";

/** Sets of up to this many endpoints are compared whole: draws of Envoy's kind would take the busier of two in a quarter of the cases. */
export const COMPARED_WHOLE = 3;

/** What makes a {@link LeastRequest}. */
export interface LeastRequestOptions {
  /** Endpoints that are compared, from 2; `Infinity` compares all. */
  readonly choices: number;
  /** How much calls in flight count against the weight where weights differ; 0: not at all. */
  readonly bias: number;
  readonly weights: Weights;
  readonly keeper: FiguresKeeper;
  readonly random: Random;
}

/**
 * The endpoint with the fewest calls in flight among some that chance chose; where weights differ, turns by earliest deadline
 * with `weight / (in flight + 1) ^ bias` (Envoy's least request).
 */
export class LeastRequest extends KeepingPicker {
  readonly name = "least-request";
  readonly #bias: number;
  readonly #weights: Weights;
  readonly #loadOf: LoadMeasure;
  readonly #byChoice: ChoiceOfN;
  readonly #turns: WeightedTurns;

  constructor({ choices, bias, weights, keeper, random }: LeastRequestOptions) {
    super(keeper);
    this.#bias = bias;
    this.#weights = weights;
    this.#turns = new WeightedTurns(random);
    const loadOf = inFlightLoad(weights);
    this.#loadOf = loadOf;
    this.#byChoice = new ChoiceOfN({ name: this.name, choices, wholeUpTo: COMPARED_WHOLE, loadOf, keeper, random });
  }

  pick<C extends Balanced>(all: readonly C[], tried: ReadonlySet<string> | undefined, nowMs: number): C | undefined {
    if (this.#weights.areEqual(all, nowMs)) {
      this.#turns.forget();
      return this.#byChoice.pick(all, tried, nowMs);
    }
    return this.#turns.next(
      all,
      tried,
      (candidate) => this.#weights.of(candidate, nowMs) / (candidate.figures.inFlight + 1) ** this.#bias,
    );
  }

  protected override shownLoad(): LoadMeasure {
    return this.#loadOf;
  }
}
