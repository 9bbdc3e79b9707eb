/** How long an endpoint that owes answers may say nothing at all before it is asked whether it lives: 2 s. */
export const SILENCE_MS = 2_000;

/** The longest time between two such questions: 32 s. Answers that take long are no fault. */
export const LONGEST_SILENCE_MS = 32_000;

/**
 * Notices that an endpoint says nothing on any connection while calls wait for it: a process that is stopped or stuck, or a
 * network that drops everything, looks like a slow handler to each call alone. The question is a handshake, which a living
 * process finishes however slow its handlers are. State of one pool; looked at now and then, never per call.
 */
export class SilenceWatch {
  /** Counts whatever the endpoint says; the pool's exchanges add to it. */
  heard = 0;
  #seen = 0;
  #sinceMs: number;
  #patienceMs = SILENCE_MS;
  #asking = false;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /** Whether it is time to ask. The question is then under way until {@link answered} or {@link unanswered}. */
  isDue(owesAnswers: boolean, nowMs: number): boolean {
    if (this.heard !== this.#seen) this.#patienceMs = SILENCE_MS;
    if (!owesAnswers || this.heard !== this.#seen) {
      this.#seen = this.heard;
      this.#sinceMs = nowMs;
      return false;
    }
    if (this.#asking || nowMs - this.#sinceMs < this.#patienceMs) return false;
    this.#asking = true;
    return true;
  }

  /** The endpoint lives: its handlers are slow. It is left in peace for longer from time to time. */
  answered(nowMs: number): void {
    this.#asking = false;
    this.#sinceMs = nowMs;
    this.#patienceMs = Math.min(LONGEST_SILENCE_MS, 2 * this.#patienceMs);
  }

  /** The endpoint did not answer. Answers whether it said nothing else meanwhile either. */
  unanswered(nowMs: number): boolean {
    this.#asking = false;
    this.#sinceMs = nowMs;
    return this.heard === this.#seen;
  }
}
