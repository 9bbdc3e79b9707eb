import type { Client, Dispatcher } from "undici";
import { undici } from "./undici.ts";

/** A handler that tells whether its exchange is over for the connection. */
export interface PooledHandler extends Dispatcher.DispatchHandler {
  readonly released: boolean;
}

/**
 * A connection of a pool. A request that undici refuses to send, for a header it does not allow, leaves the connection idle,
 * but `dispatch` answers "busy" and the pool then waits for ever for it to become free: each such request costs one
 * connection (undici 8.12).
 */
class PooledClient extends undici.Client {
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    // The endpoint pool, the only user of these clients, hands in no other handlers.
    return super.dispatch(options, handler) || (handler as PooledHandler).released;
  }
}

/** Makes the connections of a pool. */
export const pooledClient = (origin: URL, options: object): Dispatcher =>
  // undici's pool hands its own options through.
  new PooledClient(origin, options as Client.Options);
