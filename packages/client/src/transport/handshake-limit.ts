/** Connects to one endpoint that may be under way at once: 16. More would only wait for one another's handshakes. */
export const MAX_CONCURRENT_CONNECTS = 16;

/** Sockets lost to aborts that one endpoint may see replaced, per second: 50. */
export const REPLACEMENTS_PER_SECOND = 50;

/** And at once, after a quiet time: 100. */
export const REPLACEMENT_BURST = 100;

/**
 * Bounds the handshakes with one endpoint. On HTTP/1.1 whoever gives up a request costs its socket, so a caller that aborts
 * much would cost the endpoint a handshake each time: such sockets are replaced at a bounded rate (a token bucket), and the
 * calls behind them wait for a connection that becomes free. Connections that nobody's abort makes necessary are not bounded
 * in their rate: an endpoint that closes after each reply is none of ours to slow down. Beyond that, only so many connects
 * are under way at once.
 */
export class HandshakeLimit {
  #tokens = REPLACEMENT_BURST;
  #stampMs = 0;
  /** Sockets that were lost and not replaced yet. */
  #lost = 0;
  #connecting = 0;

  /** A request was given up, and its socket with it. */
  charge(): void {
    if (this.#lost < REPLACEMENT_BURST) this.#lost++;
  }

  /** Begins a connect, if one may begin now; pair it with {@link connected}. */
  tryConnect(nowMs: number): boolean {
    if (this.#connecting >= MAX_CONCURRENT_CONNECTS) return false;
    if (this.#lost > 0) {
      this.#refill(nowMs);
      if (this.#tokens < 1) return false;
      this.#tokens--;
      this.#lost--;
    }
    this.#connecting++;
    return true;
  }

  /** A connect has ended, whichever way. */
  connected(): void {
    this.#connecting--;
  }

  /** Whether a socket that is lost now could be replaced at once. */
  affordsLoss(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens - this.#lost >= 1;
  }

  /** Milliseconds until a connect may begin again; `undefined` when only the end of another connect allows it. */
  waitMs(nowMs: number): number | undefined {
    if (this.#connecting >= MAX_CONCURRENT_CONNECTS) return undefined;
    this.#refill(nowMs);
    return this.#lost === 0 || this.#tokens >= 1 ? 0 : ((1 - this.#tokens) * 1_000) / REPLACEMENTS_PER_SECOND;
  }

  #refill(nowMs: number): void {
    const gained = ((nowMs - this.#stampMs) * REPLACEMENTS_PER_SECOND) / 1_000;
    this.#tokens = Math.min(REPLACEMENT_BURST, this.#tokens + gained);
    this.#stampMs = nowMs;
  }
}
