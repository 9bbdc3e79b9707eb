import type { Socket } from "node:net";
import type { EffectiveConnectionPool } from "@tulle/policy";
import type { Client, Dispatcher } from "undici";
import type { Connect } from "./connector.ts";
import type { DestinationUsage } from "./destination-usage.ts";
import type { HandshakeLimit } from "./handshake-limit.ts";
import type { IdleConnection } from "./idle-connections.ts";
import { UNDICI_THRESHOLD_MS } from "./idle-time.ts";
import type { SocketAhead } from "./socket-ahead.ts";
import { undici } from "./undici.ts";

/** What carries an exchange, in the hands of its handler. */
export interface ExchangeConnection {
  /** Whether it has carried an exchange before this one. */
  readonly reused: boolean;
  /** It cannot be used again. */
  spoil(): void;
  /** The caller gave up its request after it was begun. */
  abandon(): void;
  noteHeard(): void;
  /** The connection changes its protocol. */
  detach(): void;
  /** Its exchange is over. */
  release(): void;
}

/** A handler of one exchange. */
export interface PooledHandler extends Dispatcher.DispatchHandler {
  /** Whether `onRequestStart` was called: from then on the request may have been sent. */
  readonly started: boolean;
  /** Whether the request was begun and its reply has not. */
  readonly awaitsReply: boolean;
  /** The endpoint says nothing any more and accepts no connection. */
  silent(): void;
  /** The request waited and will not be begun. */
  refused(error: Error): void;
  /** It was begun, and the peer said that it has not begun with it: another may, whatever its method. */
  unprocessed(error: Error): void;
  /** The connection that carries it. Written by the pool alone. */
  connection: ExchangeConnection | undefined;
}

/** Who keeps a connection and hears what becomes of it. */
export interface ConnectionOwner {
  free(connection: PooledClient): void;
  detach(connection: PooledClient): void;
  disconnected(connection: PooledClient): void;
  retire(connection: PooledClient): void;
  noteHeard(): void;
}

/** What a connection is made of. */
export interface PooledClientOptions {
  readonly origin: string;
  readonly policy: EffectiveConnectionPool;
  readonly handshakes: HandshakeLimit;
}

/** One connection: an undici client that is given one request at a time. */
export class PooledClient implements ExchangeConnection, IdleConnection {
  readonly client: Client;
  socket: Socket | undefined = undefined;
  /** Whose exchange it carries. */
  handler: PooledHandler | undefined = undefined;
  usage: DestinationUsage | undefined = undefined;
  /** Where its socket comes from when it was made before a call asked for it. */
  ahead: SocketAhead | undefined = undefined;
  /** How many it was given. */
  exchanges = 0;
  /** Clock milliseconds. */
  idleSinceMs = 0;
  /** Whether it has carried an exchange before this one. */
  reused = false;
  /** Whether it was idle for so long that its peer may have closed it meanwhile. */
  rested = false;
  /** Whether it carries another protocol. */
  detached = false;
  #spoiled = false;
  readonly #pool: ConnectionOwner;
  readonly #options: PooledClientOptions;
  readonly #endPermit: () => void;

  constructor(pool: ConnectionOwner, options: PooledClientOptions, connect: Connect, endPermit: () => void) {
    this.#pool = pool;
    this.#options = options;
    this.#endPermit = endPermit;
    this.client = new undici.Client(options.origin, {
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: options.policy.keepAliveMs,
      keepAliveMaxTimeout: options.policy.keepAliveMs,
      keepAliveTimeoutThreshold: UNDICI_THRESHOLD_MS,
      // The deadline, the attempt's limit and the body's idle limit are the mesh's own, on its own clock.
      headersTimeout: 0,
      bodyTimeout: 0,
      // Typed for undici's own connectors; both arguments are called as it calls them.
      connect: connect as NonNullable<Client.Options["connect"]>,
    });
    this.client.on("disconnect", () => pool.disconnected(this));
  }

  /** Whether another request may use it. */
  get usable(): boolean {
    if (this.ahead !== undefined && this.exchanges === 0) return this.ahead.usable;
    return !this.#spoiled && this.socket !== undefined && !this.socket.destroyed;
  }

  /** The socket cannot be used again. */
  spoil(): void {
    this.#spoiled = true;
  }

  /** The caller gave up its request after it was begun: the socket is lost, and its replacement is charged. */
  abandon(): void {
    this.#spoiled = true;
    this.#options.handshakes.charge();
  }

  noteHeard(): void {
    this.#pool.noteHeard();
  }

  /** The connection changes its protocol. */
  detach(): void {
    this.detached = true;
    this.#pool.detach(this);
  }

  /** Its exchange is over. */
  release(): void {
    if (this.usage !== undefined) this.usage.requests--;
    this.usage = undefined;
    this.handler = undefined;
    this.#pool.free(this);
  }

  retire(): void {
    this.#pool.retire(this);
  }

  end(): Promise<void> {
    this.#endPermit();
    this.ahead?.end();
    return this.client.close();
  }
}
