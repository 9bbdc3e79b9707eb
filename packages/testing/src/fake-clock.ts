import type { Clock, Timer } from "@tulle/time";

interface Waiting {
  readonly dueMs: number;
  readonly order: number;
  /** `undefined` once it fired or was cancelled. */
  fire: (() => void) | undefined;
}

/** A clock that stands still until it is moved. Timers fire in the order of their moments, then of their making. */
export class FakeClock implements Clock {
  #nowMs: number;
  #wallOffsetMs: number;
  #made = 0;
  /** A heap, the next one first, so that a simulation with thousands of timers stays quick. Cancelled ones stay until their turn. */
  readonly #heap: Waiting[] = [];
  #pending = 0;

  /** @param wallMs the wall-clock time at the start, milliseconds since 1970. */
  constructor(nowMs: number = 0, wallMs: number = 1_700_000_000_000) {
    this.#nowMs = nowMs;
    this.#wallOffsetMs = wallMs - nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  wallNow(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const waiting: Waiting = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#made++, fire };
    this.#push(waiting);
    this.#pending++;
    return {
      cancel: () => {
        if (waiting.fire === undefined) return;
        waiting.fire = undefined;
        this.#pending--;
      },
    };
  }

  /** Timers that have not fired: a leak is a number. */
  get pendingTimers(): number {
    return this.#pending;
  }

  /** Moves time on and fires what falls due on the way, each at its own moment. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (let fire = this.#takeDue(untilMs); fire !== undefined; fire = this.#takeDue(untilMs)) fire();
    this.#nowMs = untilMs;
  }

  /** As {@link advance}, but lets promises settle after each timer, for code that awaits between timers. */
  async advanceAsync(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settle();
    for (let fire = this.#takeDue(untilMs); fire !== undefined; fire = this.#takeDue(untilMs)) {
      fire();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  /** Lets only the wall clock jump, as an administrator or NTP does. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Takes the next timer that falls due, and moves time to its moment. */
  #takeDue(untilMs: number): (() => void) | undefined {
    for (let next = this.#heap[0]; next !== undefined && next.dueMs <= untilMs; next = this.#heap[0]) {
      this.#pop();
      const { fire } = next;
      if (fire === undefined) continue;
      next.fire = undefined;
      this.#pending--;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      return fire;
    }
    return undefined;
  }

  #push(waiting: Waiting): void {
    const heap = this.#heap;
    let at = heap.push(waiting) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, waiting)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = waiting;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const child = right !== undefined && left !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || isBefore(last, child)) break;
      heap[at] = child;
      at = child === left ? 2 * at + 1 : 2 * at + 2;
    }
    heap[at] = last;
  }
}

const isBefore = (a: Waiting, b: Waiting): boolean => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
