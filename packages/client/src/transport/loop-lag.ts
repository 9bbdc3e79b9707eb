import type { Clock, Timer } from "@tulle/time";

/** How often the event loop is looked at, milliseconds. */
export const LAG_SAMPLE_MS = 500;

/**
 * By how much the event loop of this process is late: the last delay of a timer, or half of the one before. One timer for a
 * whole client, which runs only while somebody holds connections; whoever does hears of each turn of it.
 */
export class LoopLag {
  readonly #clock: Clock;
  #timer: Timer | undefined;
  readonly #holders = new Set<() => void>();
  /** Milliseconds. */
  currentMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins to look, and tells `onSample` each time; pair it with {@link release}. */
  hold(onSample: () => void): void {
    this.#holders.add(onSample);
    if (this.#timer === undefined) this.#sample();
  }

  release(onSample: () => void): void {
    this.#holders.delete(onSample);
    if (this.#holders.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.currentMs = 0;
  }

  #sample(): void {
    const dueMs = this.#clock.now() + LAG_SAMPLE_MS;
    this.#timer = this.#clock.after(LAG_SAMPLE_MS, () => {
      this.currentMs = Math.max(this.#clock.now() - dueMs, this.currentMs / 2);
      if (this.currentMs < 1) this.currentMs = 0;
      this.#sample();
      for (const onSample of this.#holders) onSample();
    });
  }
}
