import type { Duplex } from "node:stream";
import type { Timer } from "@tulle/time";
import type { Transport } from "./transport.ts";

/** What carries calls and what carries requests of `node:http` end alike. */
export interface Connections {
  /** Ends idle ones now and busy ones after their exchange. */
  close(): Promise<void>;
  /** Ends all of them now. */
  destroy(): Promise<void>;
}

/**
 * The connections of an endpoint that take no more calls and are not closed yet: pools that finish what they have, and
 * connections that speak another protocol by now, which only the application ends.
 */
export class ConnectionsLeaving<Pool extends Connections> {
  readonly #transport: Transport;
  readonly #pools = new Map<Pool, Promise<void>>();
  readonly #upgraded = new Set<Duplex>();
  #onLastUpgraded: (() => void) | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Those that finish what they have. */
  get pools(): Iterable<Pool> {
    return this.#pools.keys();
  }

  /** Lets a pool finish what it has. */
  retire(pool: Pool): void {
    const closed = this.#transport.home.runInAsyncScope(pool.close, pool).then(
      () => undefined,
      () => undefined,
    );
    this.#pools.set(
      pool,
      closed.then(() => void this.#pools.delete(pool)),
    );
  }

  /** Counts a connection that has changed its protocol, and ends it in the end: nobody else would. */
  keepUpgraded(socket: Duplex, onClose: () => void): void {
    this.#upgraded.add(socket);
    // The application may listen for errors or not; without a listener one would end the process.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.#upgraded.delete(socket);
      onClose();
      if (this.#upgraded.size === 0) this.#onLastUpgraded?.();
    });
  }

  /** Resolves when all are closed; what has not ended after `graceMs` is cut off. */
  async settle(graceMs: number): Promise<void> {
    if (this.#pools.size === 0 && this.#upgraded.size === 0) return;
    const upgradedClosed = new Promise<void>((resolve) => {
      if (this.#upgraded.size === 0) resolve();
      else this.#onLastUpgraded = resolve;
    });
    const timer = this.#cutOffAfter(graceMs);
    await Promise.all([...this.#pools.values(), upgradedClosed]);
    timer.cancel();
  }

  #cutOffAfter(graceMs: number): Timer {
    const { home, clock, counters } = this.#transport;
    return home.runInAsyncScope(clock.after, clock, graceMs, () => {
      for (const pool of this.#pools.keys()) {
        counters.drainsCutOff++;
        void pool.destroy();
      }
      for (const socket of this.#upgraded) {
        counters.drainsCutOff++;
        socket.destroy();
      }
    });
  }
}
