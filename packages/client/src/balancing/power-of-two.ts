import type { Random } from "@tulle/time";
import type { LoadMeasure } from "./peak-ewma.ts";
import type { Balanced, CandidateFigures, Outcome, Picker } from "./picker.ts";
import { withoutTried } from "./tried.ts";

/**
 * Two endpoints by chance, the less loaded one wins. Nearly as good as comparing all, at a price that does not grow, and
 * without the herd that runs to the one that looks best (Mitzenmacher 1996).
 */
export class PowerOfTwo implements Picker {
  readonly name: string;
  readonly #measure: LoadMeasure;
  readonly #random: Random;

  constructor(measure: LoadMeasure, random: Random) {
    this.name = measure.name;
    this.#measure = measure;
    this.#random = random;
  }

  pick<C extends Balanced>(all: readonly C[], tried: ReadonlySet<string> | undefined, nowMs: number): C | undefined {
    const candidates = withoutTried(all, tried);
    const count = candidates.length;
    if (count <= 1) return candidates[0];
    const first = Math.floor(this.#random() * count);
    // One of the others: the first one's place is skipped.
    const drawn = Math.floor(this.#random() * (count - 1));
    const one = candidates[first];
    const other = candidates[drawn < first ? drawn : drawn + 1];
    if (one === undefined || other === undefined) return one ?? other;
    // A tie goes to the first, which chance chose.
    return this.#measure.loadOf(one, nowMs) <= this.#measure.loadOf(other, nowMs) ? one : other;
  }

  start(candidate: Balanced, _nowMs: number): void {
    candidate.figures.inFlight++;
  }

  end({ figures }: Balanced, nowMs: number, outcome: Outcome): void {
    figures.inFlight--;
    figures.answered++;
    if (outcome.failed) figures.failed++;
    this.#measure.observe(figures, nowMs, outcome);
  }

  explain(candidates: readonly Balanced[], nowMs: number): readonly CandidateFigures[] {
    return candidates.map((candidate) => ({
      endpoint: candidate.endpoint.id,
      inFlight: candidate.figures.inFlight,
      answered: candidate.figures.answered,
      failed: candidate.figures.failed,
      rttMs: this.#measure.rttOf(candidate.figures, nowMs),
      load: this.#measure.loadOf(candidate, nowMs),
    }));
  }
}
