import { compareHashes, type Hash64, xxh64 } from "../hashing/xxh64.ts";
import type { LoadReport } from "../load-reports/load-report.ts";
import { endpointKey } from "./endpoint-key.ts";
import type { Balanced, CandidateFigures, Outcome, Picker } from "./picker.ts";

/** What makes a {@link RandomSubset}. */
export interface RandomSubsetOptions {
  /** Chooses within the subset. */
  readonly picker: Picker;
  /** Endpoints of the subset, where there are more. */
  readonly size: number;
  /** The client's own, drawn once: clients of different seeds call different endpoints, evenly on the whole. */
  readonly seed: Hash64;
}

/**
 * Random subsetting by rendezvous (gRPC A68): the endpoints whose XXH64 under the client's seed are least. One that leaves is
 * replaced by the next, one that comes replaces at most one. Endpoints outside are a reserve: they are called when each of
 * the subset was tried or must be avoided.
 */
export class RandomSubset implements Picker {
  readonly #picker: Picker;
  readonly #size: number;
  readonly #seed: Hash64;
  /** What depends on the list that was asked about last. */
  #known: { readonly of: readonly Balanced[]; readonly subset: readonly Balanced[] } | undefined;
  /** By the endpoint as it was registered, which stays the same object until something of it changes. */
  readonly #hashes = new WeakMap<object, Hash64>();

  constructor({ picker, size, seed }: RandomSubsetOptions) {
    this.#picker = picker;
    this.#size = size;
    this.#seed = seed;
  }

  get name(): string {
    return this.#picker.name;
  }

  pick<C extends Balanced>(
    all: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    key?: Hash64,
  ): C | undefined {
    if (all.length <= this.#size) return this.#picker.pick(all, tried, nowMs, key);
    const picked = this.#picker.pick(this.#subsetOf(all), tried, nowMs, key);
    if (picked === undefined || tried?.has(picked.endpoint.id) !== true) return picked;
    return this.#firstOf(all.filter(({ endpoint }) => !tried.has(endpoint.id))) ?? picked;
  }

  start(candidate: Balanced, nowMs: number): void {
    this.#picker.start(candidate, nowMs);
  }

  end(candidate: Balanced, nowMs: number, outcome: Outcome): void {
    this.#picker.end(candidate, nowMs, outcome);
  }

  get readsReports(): boolean {
    return this.#picker.readsReports === true;
  }

  report(candidate: Balanced, nowMs: number, report: LoadReport): void {
    this.#picker.report?.(candidate, nowMs, report);
  }

  explain(candidates: readonly Balanced[], nowMs: number): readonly CandidateFigures[] {
    const told = this.#picker.explain(candidates, nowMs);
    if (candidates.length <= this.#size) return told;
    const ids = new Set(this.#subsetOf(candidates).map(({ endpoint }) => endpoint.id));
    return told.map((each) => (ids.has(each.endpoint) ? each : { ...each, reserve: true }));
  }

  #subsetOf<C extends Balanced>(all: readonly C[]): readonly C[] {
    if (this.#known?.of !== all) this.#known = { of: all, subset: this.#learn(all) };
    // It was chosen from this very list.
    return this.#known.subset as readonly C[];
  }

  /** The subset keeps its identity where nothing of it changed: the picker's turns and tables go on. */
  #learn(all: readonly Balanced[]): readonly Balanced[] {
    const before = this.#known?.subset;
    const subset = this.#leastOf(all);
    const same = before?.length === subset.length && before.every((each, place) => each === subset[place]);
    return same ? before : subset;
  }

  /** The `size` least, in their order: a heap would do less, but few of a long list displace one of a short one. */
  #leastOf(all: readonly Balanced[]): readonly Balanced[] {
    const least: { readonly hash: Hash64; readonly candidate: Balanced }[] = [];
    for (const candidate of all) {
      const hash = this.#hashOf(candidate);
      const last = least[this.#size - 1];
      if (last !== undefined && compareHashes(hash, last.hash) >= 0) continue;
      let from = 0;
      let to = least.length;
      while (from < to) {
        const middle = (from + to) >>> 1;
        const at = least[middle];
        if (at !== undefined && compareHashes(at.hash, hash) <= 0) from = middle + 1;
        else to = middle;
      }
      least.splice(from, 0, { hash, candidate });
      if (least.length > this.#size) least.pop();
    }
    return least.map(({ candidate }) => candidate);
  }

  #firstOf<C extends Balanced>(candidates: readonly C[]): C | undefined {
    let first: C | undefined;
    for (const candidate of candidates) {
      if (first === undefined || compareHashes(this.#hashOf(candidate), this.#hashOf(first)) < 0) first = candidate;
    }
    return first;
  }

  #hashOf(candidate: Balanced): Hash64 {
    const known = this.#hashes.get(candidate.endpoint);
    if (known !== undefined) return known;
    const hash = xxh64(endpointKey(candidate), this.#seed);
    this.#hashes.set(candidate.endpoint, hash);
    return hash;
  }
}
