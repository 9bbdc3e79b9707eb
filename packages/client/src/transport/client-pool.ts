import type { EffectiveConnectionPool, MeshError } from "@tulle/policy";
import type { Dispatcher } from "undici";
import { connectionsAhead } from "./connections-ahead.ts";
import type { Connect } from "./connector.ts";
import type { DestinationUsage, ServiceConnections } from "./destination-usage.ts";
import type { HandshakeLimit } from "./handshake-limit.ts";
import { type ConnectionOwner, PooledClient, type PooledHandler } from "./pooled-client.ts";
import { SilenceProbe } from "./silence-probe.ts";
import { SocketAhead } from "./socket-ahead.ts";
import type { Transport } from "./transport.ts";
import { WaitingCalls } from "./waiting-calls.ts";

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
  /** Hears that the pool holds no connection, nobody waits, and the last connect succeeded: it may be closed. */
  readonly onUnused: () => void;
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
  /** Those that are being made ahead and that no call has asked for yet. */
  readonly #ahead = new Set<PooledClient>();
  readonly #waiting: WaitingCalls;
  /** Clients that were taken out and whose socket is not closed yet. */
  #leaving = 0;
  readonly #silence: SilenceProbe;
  /** Whether the last connect succeeded; nothing is made ahead where it did not. */
  #reachable = true;
  /** Set once it is closing. */
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(options: ClientPoolOptions, transport: Transport) {
    this.#options = options;
    this.#transport = transport;
    this.#waiting = new WaitingCalls(transport);
    this.#silence = new SilenceProbe({ ...options, awaiting: () => this.#awaiting() }, transport);
  }

  /**
   * Hands a request to a connection, or lets it wait for one. Follow it with {@link release} when the exchange is over.
   *
   * @throws MeshError OVERFLOW_REQUESTS, OVERFLOW_PENDING or OVERFLOW_CONNECTIONS; nothing was taken then.
   */
  dispatch(options: Dispatcher.DispatchOptions, handler: PooledHandler, usage: DestinationUsage, nowMs: number): void {
    if (!usage.mayBegin) throw this.#refuse("OVERFLOW_REQUESTS", usage);
    // Nobody overtakes those who wait.
    const found = this.#waiting.size === 0 ? this.#take(nowMs) : "busy";
    if (typeof found !== "string") this.#start(found, options, handler, usage);
    else {
      if (!usage.mayWait) {
        const forConnection = !usage.waits && found === "busy";
        throw this.#refuse(forConnection ? "OVERFLOW_CONNECTIONS" : "OVERFLOW_PENDING", usage);
      }
      this.#waiting.add(handler, options, usage);
      this.#serveLater(nowMs);
    }
    if (this.#options.policy.preconnectRatio > 1) this.#preconnect(nowMs);
  }

  /** Takes back a request that still waits. Answers false when it does not. */
  withdraw(handler: PooledHandler): boolean {
    if (!this.#waiting.remove(handler)) return false;
    this.#settleClose();
    return true;
  }

  /** Makes a first connection where there is none, if the bounds allow one. Resolves when it is made, or has failed. */
  connectFirst(nowMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#all.size > 0 || !this.#openAhead(nowMs, resolve)) resolve();
    });
  }

  /** Ends every connection once nothing is under way or waits. */
  close(): Promise<void> {
    this.#closing ??= Promise.withResolvers();
    for (const connection of [...this.#idle, ...this.#ahead]) this.#drop(connection);
    this.#settleClose();
    return this.#closing.promise;
  }

  /** Ends every connection now. Exchanges fail, and those that wait too. */
  async destroy(): Promise<void> {
    const closed = this.close();
    this.#waiting.refuseAll();
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
    const usedUp = connection.exchanges >= this.#options.policy.maxRequestsPerConnection;
    if (usedUp) this.#transport.counters.connectionsUsedUp++;
    if (usedUp || !connection.usable || (this.#closing !== undefined && this.#waiting.size === 0)) {
      this.#drop(connection);
    } else this.#rest(connection);
    this.#serve();
    this.#tellUnused();
  }

  /** The connection carries another protocol: it is no longer ours to use, but counts until it closes. */
  detach(connection: PooledClient): void {
    if (this.#all.delete(connection)) this.#leave(connection);
  }

  /** An idle connection was closed by its peer, or by age; a busy one tells its exchange. */
  disconnected(connection: PooledClient): void {
    if (connection.handler === undefined) this.retire(connection);
    // undici connects anew for what it has not begun to write.
    else if (!connection.handler.started) this.#transport.counters.unsentReplays++;
  }

  /** Ends an idle connection. */
  retire(connection: PooledClient): void {
    this.#drop(connection);
    this.#tellUnused();
  }

  /** The endpoint said something. */
  noteHeard(): void {
    this.#silence.noteHeard();
  }

  #awaiting(): PooledHandler[] {
    const found: PooledHandler[] = [];
    for (const { handler } of this.#all) if (handler?.awaitsReply === true) found.push(handler);
    return found;
  }

  /** A connection for one more exchange, or why there is none. */
  #take(nowMs: number): PooledClient | "busy" | "connecting" {
    return this.#takeIdle(nowMs) ?? this.#takeAhead() ?? this.#tryOpen(nowMs);
  }

  #takeIdle(nowMs: number): PooledClient | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      this.#transport.idle.delete(connection);
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

  /** The one that is being made for longest: it is ready before any other could be. */
  #takeAhead(): PooledClient | undefined {
    for (const connection of this.#ahead) {
      this.#ahead.delete(connection);
      return connection;
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
    return this.#add((connect) => connect);
  }

  #preconnect(nowMs: number): void {
    const calls = this.#all.size - this.#idle.length - this.#ahead.size + this.#waiting.size;
    let wanted = connectionsAhead(calls, this.#all.size, this.#options.policy.preconnectRatio);
    while (wanted > 0 && this.#openAhead(nowMs)) wanted--;
  }

  /** Makes a connection that nobody asked for yet, within all bounds. Answers false when it may not be. */
  #openAhead(nowMs: number, ended?: () => void): boolean {
    const { policy, connections, handshakes } = this.#options;
    if (this.#closing !== undefined || !this.#reachable) return false;
    if (this.#all.size >= policy.maxConnectionsPerEndpoint || connections.open >= connections.max) return false;
    if (!handshakes.tryConnect(nowMs)) return false;
    this.#transport.counters.preconnects++;
    this.#add((connect, connection) => {
      const ahead = new SocketAhead(connect, (socket) => {
        if (this.#ahead.delete(connection)) this.#madeAhead(connection, ahead, socket !== null);
        ended?.();
      });
      connection.ahead = ahead;
      this.#ahead.add(connection);
      return ahead.take;
    });
    return true;
  }

  /** No call waited for it: whoever needs one waits already, or finds it idle. */
  #madeAhead(connection: PooledClient, ahead: SocketAhead, succeeded: boolean): void {
    if (!succeeded) {
      this.#transport.counters.preconnectFailures++;
      this.#drop(connection);
      this.#settleClose();
      return;
    }
    const { home, clock } = this.#transport;
    const retire = (): void => this.retire(connection);
    ahead.rest(home.runInAsyncScope(clock.after, clock, this.#options.usableIdleMs(), retire), retire);
    this.#rest(connection);
  }

  /** @param via what the undici client connects with, made of what connects and counts. */
  #add(via: (connect: Connect, connection: PooledClient) => Connect): PooledClient {
    this.#options.connections.open++;
    const connection = this.#transport.home.runInAsyncScope(() => this.#open(via));
    this.#all.add(connection);
    if (this.#all.size === 1) this.#silence.start();
    return connection;
  }

  #open(via: (connect: Connect, connection: PooledClient) => Connect): PooledClient {
    const { connect, handshakes } = this.#options;
    let permit = true;
    const endPermit = (): void => {
      if (permit) handshakes.connected();
      permit = false;
    };
    const counted: Connect = (options, callback) =>
      connect(options, (error, socket) => {
        endPermit();
        this.#reachable = error === null;
        connection.socket = socket ?? undefined;
        callback(error, socket);
        this.#serve();
      });
    const connection: PooledClient = new PooledClient(
      this,
      this.#options,
      (options, callback) => connector(options, callback),
      endPermit,
    );
    const connector = via(counted, connection);
    return connection;
  }

  #start(
    connection: PooledClient,
    options: Dispatcher.DispatchOptions,
    handler: PooledHandler,
    usage: DestinationUsage,
  ): void {
    usage.requests++;
    connection.exchanges++;
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
      const connection = usage.mayBegin ? this.#take(nowMs) : undefined;
      if (typeof connection === "string") {
        this.#serveLater(nowMs);
        return;
      }
      this.#waiting.remove(handler);
      context.runInAsyncScope(() => {
        if (connection !== undefined) this.#start(connection, options, handler, usage);
        // Another endpoint's calls took the destination's last place meanwhile.
        else handler.refused(this.#refuse("OVERFLOW_REQUESTS", usage));
      });
    }
  }

  /** Wakes those who wait for the handshakes' bucket: no connection that becomes free would. */
  #serveLater(nowMs: number): void {
    const waitMs = this.#options.handshakes.waitMs(nowMs);
    if (waitMs !== undefined && waitMs > 0) this.#waiting.wakeAfter(waitMs, () => this.#serve());
  }

  #rest(connection: PooledClient): void {
    connection.reused = connection.exchanges > 0;
    connection.idleSinceMs = this.#transport.clock.now();
    this.#idle.push(connection);
    this.#transport.idle.add(connection);
  }

  #drop(connection: PooledClient): void {
    if (!this.#all.delete(connection)) return;
    this.#options.connections.open--;
    this.#ahead.delete(connection);
    this.#transport.idle.delete(connection);
    const place = this.#idle.indexOf(connection);
    if (place >= 0) this.#idle.splice(place, 1);
    this.#leave(connection);
  }

  #leave(connection: PooledClient): void {
    if (this.#all.size === 0) this.#silence.stop();
    this.#leaving++;
    const left = (): void => {
      this.#leaving--;
      this.#settleClose();
    };
    connection.end().then(left, left);
  }

  #tellUnused(): void {
    if (this.#closing === undefined && this.#reachable && this.#all.size + this.#waiting.size === 0)
      this.#options.onUnused();
  }

  #settleClose(): void {
    if (this.#closing === undefined || this.#leaving > 0 || this.#all.size > 0 || this.#waiting.size > 0) return;
    this.#waiting.close();
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
