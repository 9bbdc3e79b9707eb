import type { Clock, Timer } from "@tulle/time";

interface Waiting {
  readonly dueMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** A clock that stands still until it is moved. Timers fire in the order of their moments, then of their making. */
export class FakeClock implements Clock {
  #nowMs: number;
  #wallOffsetMs: number;
  #made = 0;
  readonly #waiting = new Set<Waiting>();

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
    const waiting = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#made++, fire };
    this.#waiting.add(waiting);
    return { cancel: () => void this.#waiting.delete(waiting) };
  }

  /** Timers that have not fired: a leak is a number. */
  get pendingTimers(): number {
    return this.#waiting.size;
  }

  /** Moves time on and fires what falls due on the way, each at its own moment. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (let next = this.#nextDue(untilMs); next !== undefined; next = this.#nextDue(untilMs)) {
      this.#waiting.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.fire();
    }
    this.#nowMs = untilMs;
  }

  /** As {@link advance}, but lets promises settle after each timer, for code that awaits between timers. */
  async advanceAsync(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settle();
    for (let next = this.#nextDue(untilMs); next !== undefined; next = this.#nextDue(untilMs)) {
      this.#waiting.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.fire();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  /** Lets only the wall clock jump, as an administrator or NTP does. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  #nextDue(untilMs: number): Waiting | undefined {
    let found: Waiting | undefined;
    for (const each of this.#waiting) {
      if (each.dueMs > untilMs) continue;
      if (found === undefined || each.dueMs < found.dueMs || (each.dueMs === found.dueMs && each.order < found.order)) {
        found = each;
      }
    }
    return found;
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
