import type { Random } from "@tulle/time";
import type { LoadReport } from "../load-reports/load-report.ts";
import { type PooledReport, ReportPool } from "../load-reports/report-pool.ts";
import { ChoiceOfN } from "./choice-of-n.ts";
import type { FiguresKeeper } from "./figures-keeper.ts";
import { KeepingPicker } from "./keeping-picker.ts";
import { type LoadMeasure, peakEwmaLoad } from "./load-measure.ts";
import type { Balanced, Outcome } from "./picker.ts";
import type { Weights } from "./weights.ts";

/** What makes a {@link Prequal}. */
export interface PrequalOptions {
  /** Of the numbers in flight seen lately, above which an endpoint is hot, 0 to 1. */
  readonly inFlightQuantile: number;
  /** How the calls that no report decides compare latencies. */
  readonly decayMs: number;
  readonly defaultRttMs: number;
  readonly weights: Weights;
  readonly keeper: FiguresKeeper;
  readonly random: Random;
}

/** Of so many calls one is decided without reports, so that endpoints which nobody has heard of are heard of again. */
export const EXPLORES_ONE_IN = 20;

/** Calls that one report may decide: what it says is known to be out of date then. */
export const REPORT_USES = 4;

/**
 * Prequal's hot-cold rule (arXiv 2312.10172) on reports that ride on replies instead of probes: of the endpoints that are
 * not hot the one with the least latency, where all are hot the one with the least in flight. Where fewer than two reports
 * are fresh, and for a share of the calls, the power of two choices by peak EWMA decides: it needs no report, and it knows
 * whoever fails or is slow from this client's own calls.
 */
export class Prequal extends KeepingPicker {
  readonly name = "prequal";
  readonly readsReports = true;
  readonly #pool: ReportPool<object>;
  readonly #weights: Weights;
  readonly #random: Random;
  readonly #loadOf: LoadMeasure;
  readonly #unreported: ChoiceOfN;
  /** Endpoints whose last call failed: no report is believed until one succeeds. */
  readonly #failing = new WeakSet<object>();
  /** Where those who reported stand in the list that was asked about last; -1: not in it. */
  readonly #places = new WeakMap<object, { readonly of: readonly Balanced[]; readonly at: number }>();

  constructor({ inFlightQuantile, weights, keeper, random, ...ewma }: PrequalOptions) {
    super(keeper);
    this.#pool = new ReportPool(inFlightQuantile, REPORT_USES);
    this.#weights = weights;
    this.#random = random;
    this.#loadOf = peakEwmaLoad(ewma, weights);
    this.#unreported = new ChoiceOfN({ name: this.name, choices: 2, loadOf: this.#loadOf, keeper, random });
  }

  pick<C extends Balanced>(all: readonly C[], tried: ReadonlySet<string> | undefined, nowMs: number): C | undefined {
    if (all.length <= 1) return all[0];
    if (this.#random() * EXPLORES_ONE_IN >= 1) {
      const found = this.#byReports(all, tried, nowMs);
      if (found !== undefined) return found;
    }
    return this.#unreported.pick(all, tried, nowMs);
  }

  override end(candidate: Balanced, nowMs: number, outcome: Outcome): void {
    super.end(candidate, nowMs, outcome);
    const { figures } = candidate;
    if (outcome.failed) {
      this.#failing.add(figures);
      this.#pool.forget(figures);
    } else this.#failing.delete(figures);
  }

  report({ figures }: Balanced, nowMs: number, { inFlight, latencyMs }: LoadReport): void {
    if (inFlight === undefined || latencyMs === undefined || this.#failing.has(figures)) return;
    this.#pool.note(figures, inFlight, latencyMs, nowMs);
  }

  protected override shownLoad(): LoadMeasure {
    return this.#loadOf;
  }

  #byReports<C extends Balanced>(
    all: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
  ): C | undefined {
    const { threshold } = this.#pool;
    let count = 0;
    let best: { readonly report: PooledReport<object>; readonly candidate: C } | undefined;
    let bestIsHot = true;
    let least = Number.POSITIVE_INFINITY;
    for (const report of this.#pool.fresh(nowMs)) {
      const candidate = all[this.#placeOf(all, report.of)];
      if (candidate === undefined || tried?.has(candidate.endpoint.id) === true) continue;
      count++;
      const weight = this.#weights.of(candidate, nowMs);
      const inFlight = report.inFlight / weight;
      const isHot = inFlight > threshold;
      const load = isHot ? inFlight : report.latencyMs / weight;
      if (isHot && !bestIsHot) continue;
      if (isHot === bestIsHot && load >= least) continue;
      best = { report, candidate };
      bestIsHot = isHot;
      least = load;
    }
    if (best === undefined || count < 2) return undefined;
    this.#pool.use(best.report);
    return best.candidate;
  }

  /** Few report, so each is looked for by itself: a map of thousands would be made anew whenever one of them changes. */
  #placeOf(all: readonly Balanced[], figures: object): number {
    const known = this.#places.get(figures);
    if (known?.of === all) return known.at;
    const stays = known !== undefined && all[known.at]?.figures === figures;
    const at = stays ? known.at : all.findIndex((candidate) => candidate.figures === figures);
    this.#places.set(figures, { of: all, at });
    return at;
  }
}
