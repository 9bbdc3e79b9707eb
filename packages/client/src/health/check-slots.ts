/** Health checks that a process has under way at once; others wait for their turn. */
export const MAX_CONCURRENT_CHECKS = 64;

/** Bounds what is under way at once. Who waits is served in its order; each endpoint waits once at most. */
export class CheckSlots {
  readonly #max: number;
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  constructor(max: number = MAX_CONCURRENT_CHECKS) {
    this.#max = max;
  }

  /** Calls `start` now or when there is room. Returns the way to leave, under way or waiting; a second leave does nothing. */
  enter(start: () => void): () => void {
    let inside = false;
    let left = false;
    const begin = (): void => {
      inside = true;
      this.#taken++;
      start();
    };
    const leave = (): void => {
      if (left) return;
      left = true;
      this.#waiting.delete(begin);
      if (!inside) return;
      this.#taken--;
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next();
    };
    if (this.#taken < this.#max) begin();
    else this.#waiting.add(begin);
    return leave;
  }

  /** Whether whoever enters now must wait. */
  get full(): boolean {
    return this.#taken >= this.#max;
  }
}
