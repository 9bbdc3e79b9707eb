import type { Random } from "@tulle/time";
import type { LoadReport } from "../load-reports/load-report.ts";
import { ReportedWeight, type WeightRules } from "../load-reports/reported-weight.ts";
import type { FiguresKeeper } from "./figures-keeper.ts";
import { KeepingPicker } from "./keeping-picker.ts";
import type { LoadMeasure } from "./load-measure.ts";
import type { Balanced } from "./picker.ts";
import { RoundRobin } from "./round-robin.ts";
import { WeightedTurns } from "./weighted-turns.ts";
import type { Weights } from "./weights.ts";

/** What makes a {@link WeightedRoundRobin}. */
export interface WeightedRoundRobinOptions extends WeightRules {
  /** How often weights are worked out anew, milliseconds. */
  readonly updateMs: number;
  readonly weights: Weights;
  readonly keeper: FiguresKeeper;
  readonly random: Random;
}

/**
 * Turns in proportion to what endpoints report that they can do (gRPC A58, Envoy's client-side weighted round robin). An
 * endpoint that reports nothing, or not long enough, counts as the mean; with fewer than two known weights it is plain round
 * robin by the registered ones.
 */
export class WeightedRoundRobin extends KeepingPicker {
  readonly name = "weighted-round-robin";
  readonly readsReports = true;
  readonly #options: WeightedRoundRobinOptions;
  readonly #plain: RoundRobin;
  readonly #turns: WeightedTurns;
  /** By figures, which an endpoint keeps as long as it keeps its address. */
  readonly #reported = new WeakMap<object, ReportedWeight>();
  #known: { readonly untilMs: number; readonly weights: Known | undefined } | undefined;

  constructor(options: WeightedRoundRobinOptions) {
    super(options.keeper);
    this.#options = options;
    this.#plain = new RoundRobin(options);
    this.#turns = new WeightedTurns(options.random);
  }

  pick<C extends Balanced>(all: readonly C[], tried: ReadonlySet<string> | undefined, nowMs: number): C | undefined {
    if (all.length <= 1) return all[0];
    const known = this.#weightsOf(all, nowMs);
    if (known === undefined) {
      this.#turns.forget();
      return this.#plain.pick(all, tried, nowMs);
    }
    return this.#turns.next(all, tried, (candidate) => this.#weightOf(candidate, known, nowMs));
  }

  report({ figures }: Balanced, nowMs: number, report: LoadReport): void {
    let reported = this.#reported.get(figures);
    if (reported === undefined) {
      reported = new ReportedWeight();
      this.#reported.set(figures, reported);
    }
    reported.note(report, nowMs, this.#options);
  }

  protected override shownLoad(candidates: readonly Balanced[], nowMs: number): LoadMeasure {
    const known = this.#learn(candidates, nowMs);
    return known === undefined
      ? (candidate) => 1 / this.#options.weights.of(candidate, nowMs)
      : (candidate) => 1 / this.#weightOf(candidate, known, nowMs);
  }

  /** What it reported, less while it starts slowly. The registered weight is a guess that reports replace. */
  #weightOf(candidate: Balanced, { byFigures, mean }: Known, nowMs: number): number {
    const share = this.#options.weights.of(candidate, nowMs) / (candidate.endpoint.weight ?? 1);
    return share * (byFigures.get(candidate.figures) ?? mean);
  }

  #weightsOf(all: readonly Balanced[], nowMs: number): Known | undefined {
    // Not when the list changes: whoever comes has reported nothing, and counts as the mean until then.
    if (this.#known === undefined || nowMs >= this.#known.untilMs) {
      this.#known = { untilMs: nowMs + this.#options.updateMs, weights: this.#learn(all, nowMs) };
    }
    return this.#known.weights;
  }

  #learn(all: readonly Balanced[], nowMs: number): Known | undefined {
    const byFigures = new Map<object, number>();
    let sum = 0;
    for (const { figures } of all) {
      const weight = this.#reported.get(figures)?.at(nowMs, this.#options);
      if (weight === undefined) continue;
      byFigures.set(figures, weight);
      sum += weight;
    }
    return byFigures.size < 2 ? undefined : { byFigures, mean: sum / byFigures.size };
  }
}

interface Known {
  readonly byFigures: ReadonlyMap<object, number>;
  readonly mean: number;
}
