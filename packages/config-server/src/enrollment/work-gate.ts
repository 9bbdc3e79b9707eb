import { EnrollmentRefused } from "./enrollment.ts";

/** How much costly work may be under way. */
export interface WorkGateLimits {
  /** Done at a time. */
  readonly maxRunning: number;
  /** Waiting for their turn, in order; more are refused at once. */
  readonly maxWaiting: number;
}

/** Lets some work in at a time, a bounded queue behind it, and no more. */
export class WorkGate {
  readonly #limits: WorkGateLimits;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #overflows = 0;

  constructor(limits: WorkGateLimits) {
    this.#limits = limits;
  }

  /** How often there was no room left in the queue. */
  get overflows(): number {
    return this.#overflows;
  }

  /** @throws EnrollmentRefused `too-many` when the queue is full. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limits.maxRunning) this.#running += 1;
    else await this.#turn();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      // Whoever comes next takes the place that is left.
      else next();
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= this.#limits.maxWaiting) {
      this.#overflows += 1;
      throw new EnrollmentRefused("too-many", "too many processes join at this moment: try again in a second");
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
