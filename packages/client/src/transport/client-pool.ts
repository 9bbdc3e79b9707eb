import { AsyncResource } from "node:async_hooks";
import type { EffectiveConnectionPool, MeshError } from "@tulle/policy";
import { type Timer, whileHeld } from "@tulle/time";
import type { Dispatcher } from "undici";
import type { Connect } from "./connector.ts";
import type { DestinationUsage, ServiceConnections } from "./destination-usage.ts";
import type { HandshakeLimit } from "./handshake-limit.ts";
import { type ConnectionOwner, PooledClient, type PooledHandler } from "./pooled-client.ts";
import { SilenceWatch } from "./silence.ts";
import type { Transport } from "./transport.ts";
import { undici } from "./undici.ts";

/**
 * A connection that was idle for this long is looked at before it is used, milliseconds. undici waits for one turn of the
 * event loop, which for a call that begins in the middle of a turn ends before the end of a connection can be read; so we
 * wait for one more. Busier connections are not worth the wait.
 */
export const LOOK_FIRST_MS = 5;

/** What a pool needs. */
export interface ClientPoolOptions {
  readonly origin: string;
  /** For messages. */
  readonly endpointId: string;
  readonly policy: EffectiveConnectionPool;
  readonly connect: Connect;
  /** Shared by all endpoints of the service. */
  readonly connections: ServiceConnections;
  /** Shared by all pools of the endpoint. */
  readonly handshakes: HandshakeLimit;
  /** How long a connection may have been idle and still be used, milliseconds. */
  readonly usableIdleMs: () => number;
  /** Whether a finished connect proves that the process lives: not where the system alone accepts connections. */
  readonly provesLife: boolean;
  /** Hears that the endpoint owes answers, says nothing, and accepts no connection. */
  readonly onSilent: () => void;
}

/**
 * Connections to one endpoint in HTTP/1.1, one exchange at a time on each: an undici client for each, and the calls that wait
 * for one. undici's own pool knows neither bounds over several endpoints, nor how many wait for which destination, nor when
 * a connection was last used; and it holds calls that were given up in its queue.
 */
export class ClientPool implements ConnectionOwner {
  readonly #options: ClientPoolOptions;
  readonly #transport: Transport;
  readonly #all = new Set<PooledClient>();
  /** The last one that was used comes last and is taken first, so that the others may grow old and go. */
  readonly #idle: PooledClient[] = [];
  readonly #waiting = new Map<PooledHandler, Waiting>();
  /** Clients that were taken out and whose socket is not closed yet. */
  #leaving = 0;
  readonly #silence: SilenceWatch;
  #retry: Timer | undefined;
  /** Set once it is closing. */
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(options: ClientPoolOptions, transport: Transport) {
    this.#options = options;
    this.#transport = transport;
    this.#silence = new SilenceWatch(transport.clock.now());
  }

  /**
   * Hands a request to a connection, or lets it wait for one. Follow it with {@link release} when the exchange is over.
   *
   * @throws MeshError OVERFLOW_REQUESTS, OVERFLOW_PENDING or OVERFLOW_CONNECTIONS; nothing was taken then.
   */
  dispatch(options: Dispatcher.DispatchOptions, handler: PooledHandler, usage: DestinationUsage, nowMs: number): void {
    if (!usage.mayBegin) throw this.#refuse("OVERFLOW_REQUESTS", usage);
    // Nobody overtakes those who wait.
    const found = this.#waiting.size === 0 ? (this.#takeIdle(nowMs) ?? this.#tryOpen(nowMs)) : "busy";
    if (typeof found !== "string") {
      this.#start(found, options, handler, usage);
      return;
    }
    if (!usage.mayWait) {
      const forConnection = !usage.waits && found === "busy";
      throw this.#refuse(forConnection ? "OVERFLOW_CONNECTIONS" : "OVERFLOW_PENDING", usage);
    }
    usage.pending++;
    this.#waiting.set(handler, { options, usage, context: new AsyncResource("tulle.pending") });
    this.#serveLater(nowMs);
  }

  /** Takes back a request that still waits. Answers false when it does not. */
  withdraw(handler: PooledHandler): boolean {
    const waiting = this.#waiting.get(handler);
    if (waiting === undefined) return false;
    this.#waiting.delete(handler);
    waiting.usage.pending--;
    this.#settleClose();
    return true;
  }

  /** Ends every connection once nothing is under way or waits. */
  close(): Promise<void> {
    this.#closing ??= Promise.withResolvers();
    for (const connection of [...this.#idle]) this.#drop(connection);
    this.#settleClose();
    return this.#closing.promise;
  }

  /** Ends every connection now. Exchanges fail, and those that wait too. */
  async destroy(): Promise<void> {
    const closed = this.close();
    for (const [handler, { usage }] of this.#waiting) {
      this.#waiting.delete(handler);
      usage.pending--;
      handler.refused(new undici.errors.ClientDestroyedError());
    }
    for (const connection of this.#all) void connection.client.destroy().catch(() => undefined);
    this.#settleClose();
    await closed;
  }

  /** The exchange on a connection is over. Called by {@link PooledClient.release}. */
  free(connection: PooledClient): void {
    if (connection.detached) {
      this.#options.connections.open--;
      return;
    }
    if (!connection.usable || (this.#closing !== undefined && this.#waiting.size === 0)) {
      this.#drop(connection);
      this.#serve();
      return;
    }
    connection.reused = true;
    connection.idleSinceMs = this.#transport.clock.now();
    this.#idle.push(connection);
    this.#serve();
  }

  /** The connection carries another protocol: it is no longer ours to use, but counts until it closes. */
  detach(connection: PooledClient): void {
    if (this.#all.delete(connection)) this.#leave(connection);
  }

  /** An idle connection was closed by its peer, or by age; a busy one tells its exchange. */
  disconnected(connection: PooledClient): void {
    if (connection.handler === undefined) this.#drop(connection);
    // undici connects anew for what it has not begun to write.
    else if (!connection.handler.started) this.#transport.counters.unsentReplays++;
  }

  /** The endpoint said something. */
  noteHeard(): void {
    this.#silence.heard++;
  }

  /** Asks an endpoint that says nothing whether it lives. */
  readonly #look = (): void => {
    const { clock, counters } = this.#transport;
    const { connect, provesLife, onSilent } = this.#options;
    if (!provesLife || !this.#silence.isDue(this.#awaiting().length > 0, clock.now())) return;
    counters.silenceProbes++;
    connect(undefined, (error, socket) => {
      socket?.destroy();
      if (error === null) this.#silence.answered(clock.now());
      else if (this.#silence.unanswered(clock.now())) {
        counters.silences++;
        onSilent();
        for (const handler of this.#awaiting()) handler.silent();
      }
    });
  };

  #awaiting(): PooledHandler[] {
    const found: PooledHandler[] = [];
    for (const { handler } of this.#all) if (handler?.awaitsReply === true) found.push(handler);
    return found;
  }

  #takeIdle(nowMs: number): PooledClient | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.usable) {
        const idleMs = nowMs - connection.idleSinceMs;
        connection.rested = idleMs >= LOOK_FIRST_MS;
        if (idleMs < this.#options.usableIdleMs()) return connection;
        this.#transport.counters.idleRetired++;
      }
      this.#drop(connection);
    }
    return undefined;
  }

  /** A new connection, or why there is none: all are busy, or the handshakes are. */
  #tryOpen(nowMs: number): PooledClient | "busy" | "connecting" {
    const { policy, connections, handshakes } = this.#options;
    if (this.#all.size >= policy.maxConnectionsPerEndpoint) return "busy";
    // An endpoint's first connection is always made (as in Envoy): those who wait for it would wait for ever.
    if (connections.open >= connections.max && this.#all.size > 0) {
      this.#transport.counters.connectionsAtLimit++;
      return "busy";
    }
    if (!handshakes.tryConnect(nowMs)) {
      this.#transport.counters.connectsDeferred++;
      return "connecting";
    }
    connections.open++;
    const connection = this.#transport.home.runInAsyncScope(() => this.#open());
    this.#all.add(connection);
    if (this.#all.size === 1) this.#transport.home.runInAsyncScope(() => this.#transport.lag.hold(this.#look));
    return connection;
  }

  #open(): PooledClient {
    const { connect, handshakes } = this.#options;
    let permit = true;
    const endPermit = (): void => {
      if (permit) handshakes.connected();
      permit = false;
    };
    const counted: Connect = (options, callback) =>
      connect(options, (error, socket) => {
        endPermit();
        connection.socket = socket ?? undefined;
        callback(error, socket);
        this.#serve();
      });
    const connection = new PooledClient(this, this.#options, counted, endPermit);
    return connection;
  }

  #start(
    connection: PooledClient,
    options: Dispatcher.DispatchOptions,
    handler: PooledHandler,
    usage: DestinationUsage,
  ): void {
    usage.requests++;
    connection.handler = handler;
    connection.usage = usage;
    handler.connection = connection;
    if (!connection.rested) {
      connection.client.dispatch(options, handler);
      return;
    }
    connection.rested = false;
    setImmediate(() => connection.client.dispatch(options, handler));
  }

  /** Gives connections to those who wait, in their order. */
  #serve(): void {
    if (this.#waiting.size === 0) {
      this.#settleClose();
      return;
    }
    const nowMs = this.#transport.clock.now();
    for (const [handler, { options, usage, context }] of this.#waiting) {
      const connection = usage.mayBegin ? (this.#takeIdle(nowMs) ?? this.#tryOpen(nowMs)) : undefined;
      if (typeof connection === "string") {
        this.#serveLater(nowMs);
        return;
      }
      this.#waiting.delete(handler);
      usage.pending--;
      context.runInAsyncScope(() => {
        if (connection !== undefined) this.#start(connection, options, handler, usage);
        // Another endpoint's calls took the destination's last place meanwhile.
        else handler.refused(this.#refuse("OVERFLOW_REQUESTS", usage));
      });
    }
  }

  /** Wakes those who wait for the handshakes' bucket: no connection that becomes free would. */
  #serveLater(nowMs: number): void {
    if (this.#retry !== undefined) return;
    const waitMs = this.#options.handshakes.waitMs(nowMs);
    if (waitMs === undefined || waitMs === 0) return;
    const { home, clock } = this.#transport;
    const { promise: waited, resolve: letGo } = Promise.withResolvers<void>();
    const timer = home.runInAsyncScope(clock.after, clock, waitMs, () => {
      this.#retry = undefined;
      letGo();
      this.#serve();
    });
    this.#retry = {
      cancel: () => {
        timer.cancel();
        letGo();
      },
    };
    // Where all calls wait for the bucket, no socket keeps the process alive.
    void home.runInAsyncScope(whileHeld, undefined, waited);
  }

  #drop(connection: PooledClient): void {
    if (!this.#all.delete(connection)) return;
    this.#options.connections.open--;
    const place = this.#idle.indexOf(connection);
    if (place >= 0) this.#idle.splice(place, 1);
    this.#leave(connection);
  }

  #leave(connection: PooledClient): void {
    if (this.#all.size === 0) this.#transport.lag.release(this.#look);
    this.#leaving++;
    const left = (): void => {
      this.#leaving--;
      this.#settleClose();
    };
    connection.end().then(left, left);
  }

  #settleClose(): void {
    if (this.#closing === undefined || this.#leaving > 0 || this.#all.size > 0 || this.#waiting.size > 0) return;
    this.#retry?.cancel();
    this.#closing.resolve();
  }

  #refuse(code: "OVERFLOW_REQUESTS" | "OVERFLOW_PENDING" | "OVERFLOW_CONNECTIONS", usage: DestinationUsage): MeshError {
    const { counters } = this.#transport;
    if (code === "OVERFLOW_REQUESTS") counters.requestOverflows++;
    else if (code === "OVERFLOW_PENDING") counters.pendingOverflows++;
    else counters.connectionOverflows++;
    return usage.overflow(code, this.#options.endpointId);
  }
}

/** A request without a connection. */
interface Waiting {
  readonly options: Dispatcher.DispatchOptions;
  readonly usage: DestinationUsage;
  /** It is begun by whoever frees a connection, but in its caller's context. */
  readonly context: AsyncResource;
}
