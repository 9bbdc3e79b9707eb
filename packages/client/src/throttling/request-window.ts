import { SlidingSum } from "@tulle/time";
import type { RequestCounts } from "./throttle.ts";

/** A window of two minutes moves on every five seconds. */
const BUCKETS = 24;

/** Requests and accepts of the last `windowMs`, in constant memory: the oldest bucket is forgotten whole. */
export class RequestWindow implements RequestCounts {
  readonly windowMs: number;
  readonly #requests: SlidingSum;
  readonly #accepts: SlidingSum;

  constructor(windowMs: number, nowMs: number) {
    this.windowMs = windowMs;
    this.#requests = new SlidingSum(BUCKETS, nowMs);
    this.#accepts = new SlidingSum(BUCKETS, nowMs);
  }

  get requests(): number {
    return this.#requests.total;
  }

  get accepts(): number {
    return this.#accepts.total;
  }

  record(accepted: boolean, nowMs: number): void {
    this.#requests.add(1, nowMs, this.windowMs);
    this.#accepts.add(accepted ? 1 : 0, nowMs, this.windowMs);
  }

  /** Forgets what has left the window. */
  forget(nowMs: number): void {
    this.#requests.forget(nowMs, this.windowMs);
    this.#accepts.forget(nowMs, this.windowMs);
  }
}
