/** Streams of one session that may be given up at once: 500, half of what Node.js's server allows. */
export const RESET_BURST = 500;

/** And per second beyond that: 25; Node.js's server allows 33. */
export const RESETS_PER_SECOND = 25;

/** How fast the streams of one session may be reset: servers take too many for an attack (CVE-2023-44487). A token bucket. */
export class ResetAllowance {
  #tokens = RESET_BURST;
  #stampMs: number;

  constructor(nowMs: number) {
    this.#stampMs = nowMs;
  }

  /** Notes a reset. Answers false when there should be no other on this session. */
  tryReset(nowMs: number): boolean {
    this.#tokens = Math.min(RESET_BURST, this.#tokens + ((nowMs - this.#stampMs) * RESETS_PER_SECOND) / 1_000) - 1;
    this.#stampMs = nowMs;
    return this.#tokens >= 1;
  }
}
