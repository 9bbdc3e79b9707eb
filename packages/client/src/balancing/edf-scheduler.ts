import type { Random } from "@tulle/time";

interface Entry<T> {
  readonly value: T;
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
  readonly #heap: Entry<T>[];
  #now = 0;
  #turns = 0;

  /** @param weightOf above 0. */
  constructor(values: readonly T[], weightOf: (value: T) => number, random: Random) {
    this.#heap = values.map((value) => ({ value, deadline: random() / weightOf(value), turn: this.#turns++ }));
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  /** The next value, or `undefined` where there is none. */
  pick(weightOf: (value: T) => number): T | undefined {
    const [first] = this.#heap;
    if (first === undefined) return undefined;
    this.#now = first.deadline;
    first.deadline = this.#now + 1 / weightOf(first.value);
    first.turn = this.#turns++;
    this.#sink(0);
    return first.value;
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
