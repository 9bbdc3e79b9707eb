import type { Duplex } from "node:stream";
import type { Credentials, EffectiveConnectionPool, Endpoint } from "@tulle/policy";
import { MeshError } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import type { Dispatcher, Pool } from "undici";
import { type Connect, createConnector } from "./connector.ts";
import type { ExpectedPeer } from "./mutual-tls.ts";
import { type PooledHandler, pooledClient } from "./pooled-client.ts";
import { SocketPool, type SocketTaker } from "./socket-pool.ts";
import type { Transport, TransportCounters } from "./transport.ts";
import { undici } from "./undici.ts";

/** How much the age at which connections are retired differs from pool to pool, so that they do not all go at once. */
const AGE_JITTER = 0.1;

/** Undici's pool and ours end alike. */
interface Connections {
  close(): Promise<void>;
  destroy(): Promise<void>;
}

/** What makes a pool. */
export interface EndpointPoolOptions {
  readonly endpoint: Endpoint;
  readonly policy: EffectiveConnectionPool;
  readonly expected: ExpectedPeer;
  /** Host that TLS asks for, constant per service: `reviews.default.svc.cluster.local`. */
  readonly servername: string;
  /** The endpoint said in-band that it drains. */
  readonly onDrainHint?: () => void;
}

/**
 * The connections to one endpoint: an undici `Pool` in HTTP/1.1, opened with the first call. The undici pool is exchanged for
 * a fresh one when the credentials change: exchanges under way finish on the old one's sockets, which then close, and none
 * that begins later can travel under an old certificate or to a peer that is no longer trusted. It is exchanged in the same way
 * when it reaches its greatest age: undici's own `clientTtl` reads the clock once per connection and call.
 */
export class EndpointPool {
  readonly endpoint: Endpoint;
  /** Whether every connection has proved an identity of the service, so that control headers of replies count. */
  readonly verified: boolean;
  readonly clock: Clock;
  readonly counters: TransportCounters;
  readonly onDrainHint: (() => void) | undefined;
  /** What each dispatch must name as its TLS server: undici otherwise takes the Host header and reconnects when it changes. */
  readonly servername: string;
  /** Exchanges under way or waiting for a connection. */
  active = 0;
  readonly #transport: Transport;
  readonly #policy: EffectiveConnectionPool;
  readonly #maxActive: number;
  #expected: ExpectedPeer;
  #pool: Pool | undefined;
  /** For requests of `node:http`. */
  #sockets: SocketPool | undefined;
  #credentials: Credentials | undefined;
  #retireAtMs = 0;
  /** Those that finish what they have. */
  readonly #retiring = new Map<Connections, Promise<void>>();
  /** Connections that speak another protocol by now. */
  readonly #upgraded = new Set<Duplex>();
  #onLastUpgraded: (() => void) | undefined;
  #closed = false;

  constructor(options: EndpointPoolOptions, transport: Transport) {
    this.endpoint = options.endpoint;
    this.verified = options.endpoint.transport === "mtls";
    this.clock = transport.clock;
    this.counters = transport.counters;
    this.onDrainHint = options.onDrainHint;
    this.servername = options.servername;
    this.#transport = transport;
    this.#policy = options.policy;
    this.#maxActive = options.policy.connections + options.policy.pendingRequests;
    this.#expected = options.expected;
  }

  /**
   * Hands a request to a connection, or lets it wait for one. Each one that is taken must be given back to {@link release}
   * when its exchange is over.
   *
   * @param nowMs clock milliseconds.
   * @throws MeshError OVERFLOW when too many wait, CONNECT_FAILED after {@link close}.
   */
  dispatch(options: Dispatcher.DispatchOptions, handler: PooledHandler, nowMs: number): void {
    this.#enter(nowMs);
    this.#pool ??= this.#transport.home.runInAsyncScope(() => this.#create());
    this.#pool.dispatch(options, handler);
  }

  /**
   * Lends a connection for a request of `node:http`, or lets it wait for one; otherwise as {@link dispatch}. These connections
   * are others than undici's, with a bound of their own. Returns the way to stop waiting, which is followed by a release too.
   *
   * @param nowMs clock milliseconds.
   * @throws MeshError OVERFLOW when too many wait, CONNECT_FAILED after {@link close}.
   */
  lend(taker: SocketTaker, nowMs: number): () => void {
    this.#enter(nowMs);
    this.#sockets ??= new SocketPool(
      {
        connect: this.#connector(),
        connections: this.#policy.connections,
        keepAliveMs: this.#policy.keepAliveMs,
      },
      this.#transport,
    );
    return this.#sockets.lend(taker);
  }

  /** An exchange is over. */
  release(): void {
    this.active--;
  }

  /**
   * Counts a connection that has changed its protocol, and ends it with the pool: nobody else would. Idle limits, credentials
   * and the age of connections do not touch it: what is said on it is the application's.
   */
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

  /** Takes the service's present accounts; connections to identities that may have lost their right are not used again. */
  expect(expected: ExpectedPeer): void {
    const same =
      expected.namespace === this.#expected.namespace &&
      expected.serviceAccounts.length === this.#expected.serviceAccounts.length &&
      expected.serviceAccounts.every((account, place) => account === this.#expected.serviceAccounts[place]);
    if (same) return;
    this.#expected = expected;
    if (this.verified) this.retireConnections();
  }

  /** Closes idle connections now and busy ones after their exchange. A later call opens new ones. */
  retireConnections(): void {
    if (this.#pool !== undefined) this.#retire(this.#pool);
    this.#pool = undefined;
    if (this.#sockets !== undefined) this.#retire(this.#sockets);
    this.#sockets = undefined;
  }

  #retire(pool: Connections): void {
    const closed = this.#transport.home.runInAsyncScope(pool.close, pool).then(
      () => undefined,
      () => undefined,
    );
    this.#retiring.set(
      pool,
      closed.then(() => void this.#retiring.delete(pool)),
    );
  }

  /**
   * Takes no more calls, lets those under way finish, and cuts off what has not ended after `graceMs`. Resolves when every
   * socket is closed.
   */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    this.retireConnections();
    if (this.#retiring.size === 0 && this.#upgraded.size === 0) return;
    const upgradedClosed = new Promise<void>((resolve) => {
      if (this.#upgraded.size === 0) resolve();
      else this.#onLastUpgraded = resolve;
    });
    const timer = this.#transport.home.runInAsyncScope(this.clock.after, this.clock, graceMs, () => {
      for (const pool of this.#retiring.keys()) {
        this.counters.drainsCutOff++;
        void pool.destroy();
      }
      for (const socket of this.#upgraded) {
        this.counters.drainsCutOff++;
        socket.destroy();
      }
    });
    await Promise.all([...this.#retiring.values(), upgradedClosed]);
    timer.cancel();
  }

  /** Counts an exchange that begins, and retires the connections that it must not use. */
  #enter(nowMs: number): void {
    if (this.active >= this.#maxActive) throw this.#overflow();
    if (this.#closed) throw this.#gone();
    const credentials = this.verified ? this.#transport.credentials.current : undefined;
    if (credentials !== this.#credentials || nowMs >= this.#retireAtMs) {
      this.retireConnections();
      this.#credentials = credentials;
      this.#retireAtMs = nowMs + this.#policy.maxAgeMs * (1 + AGE_JITTER * (2 * this.#transport.random() - 1));
    }
    this.active++;
  }

  #connector(): Connect {
    return createConnector(
      {
        endpoint: this.endpoint,
        servername: this.servername,
        connectTimeoutMs: this.#policy.connectTimeoutMs,
        expected: () => this.#expected,
      },
      this.#transport,
    );
  }

  #create(): Pool {
    const { endpoint } = this;
    const policy = this.#policy;
    const host = endpoint.address.includes(":") ? `[${endpoint.address}]` : endpoint.address;
    const connect = this.#connector();
    return new undici.Pool(`${endpoint.transport === "plaintext" ? "http" : "https"}://${host}:${endpoint.port}`, {
      factory: pooledClient,
      connections: policy.connections,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: policy.keepAliveMs,
      // The deadline, the attempt's limit and the body's idle limit are the mesh's own, on its own clock.
      headersTimeout: 0,
      bodyTimeout: 0,
      // Typed for undici's own connectors; both arguments are called as it calls them.
      connect: connect as NonNullable<Pool.Options["connect"]>,
    });
  }

  #overflow(): MeshError {
    this.counters.overflows++;
    return new MeshError("OVERFLOW", {
      message: `${this.#policy.pendingRequests} calls wait for one of the ${this.#policy.connections} connections to endpoint ${this.endpoint.id}`,
      hint: "connections and pendingRequests of the Service policy's connectionPool set the bounds",
    });
  }

  #gone(): MeshError {
    return new MeshError("CONNECT_FAILED", {
      message: `endpoint ${this.endpoint.id} has left its service and takes no more calls`,
    });
  }
}
