import { AsyncResource } from "node:async_hooks";
import { type Timer, whileHeld } from "@tulle/time";
import type { Dispatcher } from "undici";
import type { DestinationUsage } from "./destination-usage.ts";
import type { PooledHandler } from "./pooled-client.ts";
import type { Transport } from "./transport.ts";
import { undici } from "./undici.ts";

/** A request without a connection. */
export interface WaitingCall {
  readonly options: Dispatcher.DispatchOptions;
  readonly usage: DestinationUsage;
  /** It is begun by whoever frees a connection, but in its caller's context. */
  readonly context: AsyncResource;
}

/** The calls that wait for a connection to one endpoint, in their order; the bound is their destination's. */
export class WaitingCalls {
  readonly #transport: Transport;
  readonly #calls = new Map<PooledHandler, WaitingCall>();
  #wake: Timer | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get size(): number {
    return this.#calls.size;
  }

  [Symbol.iterator](): MapIterator<[PooledHandler, WaitingCall]> {
    return this.#calls.entries();
  }

  add(handler: PooledHandler, options: Dispatcher.DispatchOptions, usage: DestinationUsage): void {
    usage.pending++;
    this.#calls.set(handler, { options, usage, context: new AsyncResource("tulle.pending") });
  }

  /** Takes one out. Answers false when it does not wait. */
  remove(handler: PooledHandler): boolean {
    const waiting = this.#calls.get(handler);
    if (waiting === undefined) return false;
    this.#calls.delete(handler);
    waiting.usage.pending--;
    return true;
  }

  /** Ends every wait. */
  refuseAll(): void {
    for (const handler of [...this.#calls.keys()]) {
      this.remove(handler);
      handler.refused(new undici.errors.ClientDestroyedError());
    }
  }

  /** Calls `wake` after a while, for those whom no connection that becomes free would wake. One such wait at a time. */
  wakeAfter(waitMs: number, wake: () => void): void {
    if (this.#wake !== undefined) return;
    const { home, clock } = this.#transport;
    const { promise: waited, resolve: letGo } = Promise.withResolvers<void>();
    const timer = home.runInAsyncScope(clock.after, clock, waitMs, () => {
      this.#wake = undefined;
      letGo();
      wake();
    });
    this.#wake = {
      cancel: () => {
        timer.cancel();
        letGo();
      },
    };
    // Where all calls wait, no socket keeps the process alive.
    void home.runInAsyncScope(whileHeld, undefined, waited);
  }

  /** Nobody waits any more, and none will. */
  close(): void {
    this.#wake?.cancel();
  }
}
