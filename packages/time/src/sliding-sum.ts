/**
 * A sum over the last stretch of time, in constant memory: the stretch is cut into buckets, of which the oldest is forgotten
 * whole. The stretch is handed in with each question, for it may change with a policy.
 */
export class SlidingSum {
  readonly #buckets: Float64Array;
  #bucket = 0;
  #bucketStartMs: number;
  #total = 0;

  /** @param buckets how finely the stretch is cut: more forget more evenly. */
  constructor(buckets: number, nowMs: number) {
    this.#buckets = new Float64Array(buckets);
    this.#bucketStartMs = nowMs;
  }

  /** What was added since the oldest bucket began, as {@link forget} left it. */
  get total(): number {
    return this.#total;
  }

  add(amount: number, nowMs: number, windowMs: number): void {
    this.forget(nowMs, windowMs);
    this.#buckets[this.#bucket] = (this.#buckets[this.#bucket] ?? 0) + amount;
    this.#total += amount;
  }

  /** Forgets what has left the stretch. */
  forget(nowMs: number, windowMs: number): void {
    const count = this.#buckets.length;
    const bucketMs = windowMs / count;
    const passed = Math.floor((nowMs - this.#bucketStartMs) / bucketMs);
    if (passed <= 0) return;
    this.#bucketStartMs += passed * bucketMs;
    for (let turn = Math.min(passed, count); turn > 0; turn--) {
      this.#bucket = (this.#bucket + 1) % count;
      this.#total -= this.#buckets[this.#bucket] ?? 0;
      this.#buckets[this.#bucket] = 0;
    }
  }
}
