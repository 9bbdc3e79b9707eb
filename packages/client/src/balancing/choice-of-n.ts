import type { Random } from "@tulle/time";
import type { FiguresKeeper } from "./figures-keeper.ts";
import { KeepingPicker } from "./keeping-picker.ts";
import type { LoadMeasure } from "./load-measure.ts";
import type { Balanced } from "./picker.ts";
import { withoutTried } from "./tried.ts";

/** What makes a {@link ChoiceOfN}. */
export interface ChoiceOfNOptions {
  /** As a policy calls it. */
  readonly name: string;
  /** Endpoints that are compared, from 2; `Infinity` compares all. */
  readonly choices: number;
  /** Sets of up to this many endpoints are compared whole. @default `choices` */
  readonly wholeUpTo?: number;
  readonly loadOf: LoadMeasure;
  readonly keeper: FiguresKeeper;
  readonly random: Random;
}

/**
 * Some endpoints by chance, the least loaded one wins. Two are nearly as good as all, at a price that does not grow, and
 * without the herd that runs to the one that looks best (Mitzenmacher 1996). Ties go to chance.
 */
export class ChoiceOfN extends KeepingPicker {
  readonly name: string;
  readonly #choices: number;
  readonly #wholeUpTo: number;
  readonly #loadOf: LoadMeasure;
  readonly #random: Random;

  constructor({ name, choices, wholeUpTo = choices, loadOf, keeper, random }: ChoiceOfNOptions) {
    super(keeper);
    this.name = name;
    this.#choices = choices;
    this.#wholeUpTo = Math.max(choices, wholeUpTo);
    this.#loadOf = loadOf;
    this.#random = random;
  }

  pick<C extends Balanced>(all: readonly C[], tried: ReadonlySet<string> | undefined, nowMs: number): C | undefined {
    const candidates = withoutTried(all, tried);
    const count = candidates.length;
    if (count <= 1) return candidates[0];
    if (count <= this.#wholeUpTo) return this.#leastOfAll(candidates, nowMs);
    return this.#choices === 2 ? this.#leastOfTwo(candidates, nowMs) : this.#leastOfSome(candidates, nowMs);
  }

  protected override shownLoad(): LoadMeasure {
    return this.#loadOf;
  }

  #leastOfTwo<C extends Balanced>(candidates: readonly C[], nowMs: number): C | undefined {
    const count = candidates.length;
    const first = Math.floor(this.#random() * count);
    // One of the others: the first one's place is skipped.
    const drawn = Math.floor(this.#random() * (count - 1));
    const one = candidates[first];
    const other = candidates[drawn < first ? drawn : drawn + 1];
    if (one === undefined || other === undefined) return one ?? other;
    return this.#loadOf(one, nowMs) <= this.#loadOf(other, nowMs) ? one : other;
  }

  /** Different ones, by Floyd's sampling: no shuffle of the whole set. */
  #leastOfSome<C extends Balanced>(candidates: readonly C[], nowMs: number): C | undefined {
    const count = candidates.length;
    const drawn = new Set<number>();
    let best: C | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (let last = count - this.#choices; last < count; last++) {
      const at = Math.floor(this.#random() * (last + 1));
      const place = drawn.has(at) ? last : at;
      drawn.add(place);
      const candidate = candidates[place];
      if (candidate === undefined) continue;
      const load = this.#loadOf(candidate, nowMs);
      if (best !== undefined && load >= least) continue;
      best = candidate;
      least = load;
    }
    return best;
  }

  /** From a random place on, and a later one must be less loaded, not equally: so ties go to chance. */
  #leastOfAll<C extends Balanced>(candidates: readonly C[], nowMs: number): C | undefined {
    const count = candidates.length;
    const start = Math.floor(this.#random() * count);
    let best = candidates[start];
    let least = best === undefined ? Number.POSITIVE_INFINITY : this.#loadOf(best, nowMs);
    for (let step = 1; step < count; step++) {
      const candidate = candidates[(start + step) % count];
      if (candidate === undefined) continue;
      const load = this.#loadOf(candidate, nowMs);
      if (load >= least) continue;
      best = candidate;
      least = load;
    }
    return best;
  }
}
