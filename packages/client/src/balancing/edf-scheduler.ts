import type { Random } from "@tulle/time";

interface Entry<T> {
  value: T;
  /** It has left the list; it is taken out when its turn comes. */
  gone: boolean;
  deadline: number;
  /** Breaks ties: who was put back earlier goes first. */
  turn: number;
}

/**
 * Earliest deadline first: picks values in proportion to their weights, as evenly spaced as the weights allow (Envoy's EDF
 * scheduler). Each pick moves the virtual time to the deadline of the value picked and gives it a new one, `1 / weight`
 * later; weights are asked for anew at each pick, so they may change meanwhile. O(log n) per pick.
 *
 * Each value begins at a random place of its first period, so that clients that start together do not pick in step.
 */
export class EdfScheduler<T> {
  readonly #random: Random;
  #heap: Entry<T>[] = [];
  /** In the order of the values. */
  #entries: Entry<T>[] = [];
  #now = 0;
  #turns = 0;

  /** @param weightOf above 0. */
  constructor(values: readonly T[], weightOf: (value: T) => number, random: Random) {
    this.#random = random;
    this.#build(values, weightOf);
  }

  /**
   * Goes on with another list. Whatever stands where it stood keeps its turn, and what stands where another stood takes
   * that one's, so that a push about one endpoint of thousands neither costs a schedule nor begins the turns anew.
   */
  update(values: readonly T[], weightOf: (value: T) => number): void {
    const entries = this.#entries;
    let from = 0;
    if (values.length !== entries.length) {
      const shorter = Math.min(values.length, entries.length);
      while (from < shorter && entries[from]?.value === values[from]) from++;
      let same = 0;
      while (same < shorter - from && entries.at(-1 - same)?.value === values.at(-1 - same)) same++;
      const more = values.length - same - from;
      const fewer = entries.length - same - from;
      if (more + fewer > MOST_EXCHANGED || this.#heap.length > 2 * values.length) {
        this.#build(values, weightOf);
        return;
      }
      for (const entry of entries.splice(
        from,
        fewer,
        ...values.slice(from, from + more).map((value) => this.#enter(value, weightOf)),
      ))
        entry.gone = true;
      return;
    }
    for (const entry of entries) {
      const value = values[from++];
      if (value !== undefined && entry.value !== value) entry.value = value;
    }
  }

  /** The next value, or `undefined` where there is none. */
  pick(weightOf: (value: T) => number): T | undefined {
    let [first] = this.#heap;
    while (first?.gone === true) {
      this.#takeFirst();
      [first] = this.#heap;
    }
    if (first === undefined) return undefined;
    this.#now = first.deadline;
    first.deadline = this.#now + 1 / weightOf(first.value);
    first.turn = this.#turns++;
    this.#sink(0);
    return first.value;
  }

  #build(values: readonly T[], weightOf: (value: T) => number): void {
    this.#entries = values.map((value) => this.#entryOf(value, weightOf));
    this.#heap = this.#entries.slice();
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  #entryOf(value: T, weightOf: (value: T) => number): Entry<T> {
    return { value, gone: false, deadline: this.#now + this.#random() / weightOf(value), turn: this.#turns++ };
  }

  #enter(value: T, weightOf: (value: T) => number): Entry<T> {
    const heap = this.#heap;
    const entry = this.#entryOf(value, weightOf);
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(entry, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = entry;
    return entry;
  }

  #takeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const moved = heap[from];
    if (moved === undefined) return;
    let at = from;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      if (left === undefined) break;
      const rightFirst = right !== undefined && isBefore(right, left);
      const child = rightFirst ? right : left;
      if (!isBefore(child, moved)) break;
      heap[at] = child;
      at = rightFirst ? 2 * at + 2 : 2 * at + 1;
    }
    heap[at] = moved;
  }
}

const isBefore = <T>(one: Entry<T>, other: Entry<T>): boolean =>
  one.deadline < other.deadline || (one.deadline === other.deadline && one.turn < other.turn);

/** Values that come and go before a new schedule is cheaper. */
const MOST_EXCHANGED = 64;
