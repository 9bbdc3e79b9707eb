import type { Clock, Timer } from "@tulle/time";

/** Changes that follow one another faster than this are published together, milliseconds. */
export const QUIET_MS = 20;

/** A change waits no longer than this, however many follow it, milliseconds. */
export const LONGEST_WAIT_MS = 1_000;

/** Waits for a moment of quiet after changes, then publishes once. */
export class Publisher {
  readonly #clock: Clock;
  readonly #publish: () => void;
  #timer: Timer | undefined;
  #firstMs: number | undefined;
  #closed = false;
  #settled: PromiseWithResolvers<void> | undefined;

  constructor(clock: Clock, publish: () => void) {
    this.#clock = clock;
    this.#publish = publish;
  }

  /** Something changed. */
  changed(): void {
    if (this.#closed) return;
    const nowMs = this.#clock.now();
    this.#firstMs ??= nowMs;
    this.#timer?.cancel();
    const waitMs = Math.min(QUIET_MS, this.#firstMs + LONGEST_WAIT_MS - nowMs);
    this.#timer = this.#clock.after(waitMs, () => {
      this.#timer = undefined;
      this.#firstMs = undefined;
      try {
        this.#publish();
      } finally {
        this.#release();
      }
    });
  }

  /** Settles when every change so far is published, or will not be any more. */
  settled(): Promise<void> {
    if (this.#timer === undefined) return Promise.resolve();
    this.#settled ??= Promise.withResolvers();
    return this.#settled.promise;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#release();
  }

  #release(): void {
    this.#settled?.resolve();
    this.#settled = undefined;
  }
}
