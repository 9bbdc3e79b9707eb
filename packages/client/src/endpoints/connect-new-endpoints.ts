import { MAX_PRECONNECTED_ENDPOINTS } from "@tulle/policy";
import type { Timer } from "@tulle/time";
import type { EndpointPool } from "../transport/endpoint-pool.ts";
import type { Transport } from "../transport/transport.ts";

/** Over how long the callers of a new endpoint spread their handshakes, milliseconds: the registry tells them all at once. */
export const NEW_ENDPOINT_SPREAD_MS = 100;

/** Gives endpoints of one service their first connection before a call needs it. */
export class NewEndpointConnects {
  readonly #transport: Transport;
  /** How each can be left alone. */
  readonly #due = new Map<EndpointPool, () => void>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** An endpoint has appeared or come back. */
  add(pool: EndpointPool): void {
    if (this.#due.size >= MAX_PRECONNECTED_ENDPOINTS || this.#due.has(pool)) return;
    const { home, clock, random, connectSlots } = this.#transport;
    const timer: Timer = home.runInAsyncScope(clock.after, clock, random() * NEW_ENDPOINT_SPREAD_MS, () => {
      const leave = connectSlots.enter(() => {
        void home.runInAsyncScope(() => pool.connectFirst(clock.now())).then(() => this.forget(pool));
      });
      this.#due.set(pool, leave);
    });
    this.#due.set(pool, () => timer.cancel());
  }

  /** It has left, or is not to be called. */
  forget(pool: EndpointPool): void {
    const stop = this.#due.get(pool);
    this.#due.delete(pool);
    stop?.();
  }

  close(): void {
    for (const pool of [...this.#due.keys()]) this.forget(pool);
  }
}
