import type { RequestCounts } from "./throttle.ts";

/** A window of two minutes moves on every five seconds. */
const BUCKETS = 24;

/** Requests and accepts of the last `windowMs`, in constant memory: the oldest bucket is forgotten whole. */
export class RequestWindow implements RequestCounts {
  readonly windowMs: number;
  readonly #bucketMs: number;
  readonly #requests: Float64Array = new Float64Array(BUCKETS);
  readonly #accepts: Float64Array = new Float64Array(BUCKETS);
  #bucket = 0;
  #bucketStartMs: number;
  #totalRequests = 0;
  #totalAccepts = 0;

  constructor(windowMs: number, nowMs: number) {
    this.windowMs = windowMs;
    this.#bucketMs = windowMs / BUCKETS;
    this.#bucketStartMs = nowMs;
  }

  get requests(): number {
    return this.#totalRequests;
  }

  get accepts(): number {
    return this.#totalAccepts;
  }

  record(accepted: boolean, nowMs: number): void {
    this.forget(nowMs);
    this.#requests[this.#bucket] = (this.#requests[this.#bucket] ?? 0) + 1;
    this.#totalRequests++;
    if (!accepted) return;
    this.#accepts[this.#bucket] = (this.#accepts[this.#bucket] ?? 0) + 1;
    this.#totalAccepts++;
  }

  /** Forgets what has left the window. */
  forget(nowMs: number): void {
    const passed = Math.floor((nowMs - this.#bucketStartMs) / this.#bucketMs);
    if (passed <= 0) return;
    this.#bucketStartMs += passed * this.#bucketMs;
    for (let turn = Math.min(passed, BUCKETS); turn > 0; turn--) {
      this.#bucket = (this.#bucket + 1) % BUCKETS;
      this.#totalRequests -= this.#requests[this.#bucket] ?? 0;
      this.#totalAccepts -= this.#accepts[this.#bucket] ?? 0;
      this.#requests[this.#bucket] = 0;
      this.#accepts[this.#bucket] = 0;
    }
  }
}
