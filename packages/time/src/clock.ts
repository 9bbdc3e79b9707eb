/** A timer that was started by a {@link Clock}. */
export interface Timer {
  /** Stops it; without effect when it has fired or was stopped before. */
  cancel(): void;
}

/** Where time comes from. Production hands in the system clock, tests a fake one that they move by hand. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start; for durations and deadlines inside the process. */
  now(): number;
  /** Wall-clock milliseconds since 1970; only for certificates, tokens and what people read. It may jump. */
  wallNow(): number;
  /**
   * Calls `fire` once after `delayMs`. The timer does not keep the process alive.
   *
   * @param delayMs 0 to 2^31 - 1; a longer wait is cut to that.
   */
  after(delayMs: number, fire: () => void): Timer;
}
