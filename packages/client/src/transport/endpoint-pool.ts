import type { Duplex } from "node:stream";
import type { Credentials, EffectiveConnectionPool, EffectiveOutsideTls, Endpoint, ServicePolicy } from "@tulle/policy";
import { MeshError, withSameIdentity } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import type { Dispatcher } from "undici";
import { ClientPool } from "./client-pool.ts";
import { ConnectionsLeaving } from "./connections-leaving.ts";
import { type Connect, createConnector } from "./connector.ts";
import type { DestinationUsage, ServiceConnections } from "./destination-usage.ts";
import { type H2Call, H2Pool } from "./h2-pool.ts";
import { HandshakeLimit } from "./handshake-limit.ts";
import { announcedIdleMs, usableIdleMs } from "./idle-time.ts";
import type { ExpectedPeer } from "./mutual-tls.ts";
import type { PooledHandler } from "./pooled-client.ts";
import { SocketPool, type SocketTaker } from "./socket-pool.ts";
import type { Transport, TransportCounters } from "./transport.ts";

/** How much the age at which connections are retired differs from pool to pool, so that they do not all go at once. */
const AGE_JITTER = 0.1;

/** What endpoints of a service speak; `http` is HTTP/1.1, `grpc` is HTTP/2 and nothing else. */
export type EndpointProtocol = NonNullable<ServicePolicy["protocol"]>;

const H2_FIRST = ["h2", "http/1.1"];

const SIMPLE_TLS: EffectiveOutsideTls = { mutual: false, sni: undefined, ca: undefined, subjectAltNames: [] };

/** What makes a pool. */
export interface EndpointPoolOptions {
  readonly endpoint: Endpoint;
  readonly policy: EffectiveConnectionPool;
  /** Shared by the endpoints of the service. */
  readonly connections: ServiceConnections;
  readonly expected: ExpectedPeer;
  /** How TLS to an endpoint of the transport `tls` is made. @default one-sided, as Node.js does it */
  readonly tls?: EffectiveOutsideTls | undefined;
  /** @default "http" */
  readonly protocol?: EndpointProtocol | undefined;
  /** Host that TLS asks for, constant per service: `reviews.default.svc.cluster.local`. */
  readonly servername: string;
  /** The endpoint said in-band that it drains. */
  readonly onDrainHint?: () => void;
  /** The endpoint said in-band that it is degraded, and for how long. */
  readonly onDegradedHint?: (value: string) => void;
  /** The endpoint owes answers, says nothing, and accepts no connection. */
  readonly onSilent?: () => void;
}

/**
 * The connections to one endpoint: a pool of undici clients in HTTP/1.1, or of sessions in HTTP/2 where the service's policy says
 * so, opened with the first call. The pool is exchanged for
 * a fresh one when the credentials change: exchanges under way finish on the old one's sockets, which then close, and none
 * that begins later can travel under an old certificate or to a peer that is no longer trusted. It is exchanged in the same way
 * when it reaches its greatest age.
 */
export class EndpointPool {
  readonly endpoint: Endpoint;
  /** Whether every connection has proved an identity of the service, so that control headers of replies count. */
  readonly verified: boolean;
  readonly clock: Clock;
  readonly counters: TransportCounters;
  readonly onDrainHint: (() => void) | undefined;
  readonly onDegradedHint: ((value: string) => void) | undefined;
  /** What each dispatch must name as its TLS server: undici otherwise takes the Host header and reconnects when it changes. */
  readonly servername: string;
  /** Exchanges under way or waiting for a connection. */
  active = 0;
  readonly #onSilent: (() => void) | undefined;
  readonly #transport: Transport;
  readonly #connections: ServiceConnections;
  readonly #handshakes = new HandshakeLimit();
  #policy: EffectiveConnectionPool;
  #tls: EffectiveOutsideTls;
  #expected: ExpectedPeer;
  #pool: ClientPool | undefined;
  #protocol: EndpointProtocol;
  /** Sessions in HTTP/2. */
  #h2: H2Pool | undefined;
  /** Whether the endpoint was found to speak HTTP/1.1 alone. Forgotten with the connections that told it. */
  #lacksH2 = false;
  /** For requests of `node:http`. */
  #sockets: SocketPool | undefined;
  /** The server's `Keep-Alive` header as it came last, and what it means. */
  #keepAlive: string | string[] | undefined;
  #announcedMs: number | undefined;
  #credentials: Credentials | undefined;
  #retireAtMs = 0;
  readonly #leaving: ConnectionsLeaving<ClientPool | H2Pool | SocketPool>;
  #closed = false;

  constructor(options: EndpointPoolOptions, transport: Transport) {
    this.endpoint = options.endpoint;
    this.verified = options.endpoint.transport === "mtls";
    this.clock = transport.clock;
    this.counters = transport.counters;
    this.onDrainHint = options.onDrainHint;
    this.onDegradedHint = options.onDegradedHint;
    this.#onSilent = options.onSilent;
    this.servername = options.servername;
    this.#transport = transport;
    this.#connections = options.connections;
    this.#policy = options.policy;
    this.#expected = options.expected;
    this.#tls = options.tls ?? SIMPLE_TLS;
    this.#leaving = new ConnectionsLeaving(transport);
    this.#protocol = options.protocol ?? "http";
  }

  /**
   * Hands a request to a connection, or lets it wait for one. Each one that is taken must be given back to {@link release}
   * when its exchange is over.
   *
   * @param nowMs clock milliseconds.
   * @throws MeshError OVERFLOW_REQUESTS, OVERFLOW_PENDING or OVERFLOW_CONNECTIONS at the bounds of the destination, CONNECT_FAILED
   * after {@link close}.
   */
  dispatch(options: Dispatcher.DispatchOptions, handler: PooledHandler, usage: DestinationUsage, nowMs: number): void {
    this.#enter(nowMs);
    // A connection that changes its protocol is one of HTTP/1.1, which members speak beside HTTP/2.
    const pool = (options.upgrade ?? null) === null ? this.#present : this.#presentHttp1;
    pool.dispatch(options, handler, usage, nowMs);
    this.active++;
  }

  /**
   * Makes a first connection where there is none, for calls that may come. Resolves when it is made or has failed, which no
   * call hears of.
   *
   * @param nowMs clock milliseconds.
   */
  connectFirst(nowMs: number): Promise<void> {
    // Without a certificate it would fail, and the first call comes after joining anyway.
    if (this.#closed || (this.verified && this.#transport.credentials.current === undefined)) return Promise.resolve();
    this.#enter(nowMs);
    return this.#present.connectFirst(nowMs);
  }

  /**
   * Lends a connection for a request of `node:http`, or lets it wait for one; otherwise as {@link dispatch}. These connections
   * are others than undici's, with bounds of their own: as many to this endpoint, and as many that wait for them. Returns the
   * way to stop waiting, which is followed by a release too.
   *
   * @param nowMs clock milliseconds.
   * @throws MeshError OVERFLOW_PENDING when too many wait, CONNECT_FAILED after {@link close}.
   */
  lend(taker: SocketTaker, nowMs: number): () => void {
    this.#enter(nowMs);
    const { maxConnectionsPerEndpoint, maxPendingRequests } = this.#policy;
    this.#sockets ??= this.#createSockets();
    if (this.#sockets.taken >= maxConnectionsPerEndpoint + maxPendingRequests) throw this.#overflow();
    this.active++;
    return this.#sockets.lend(taker);
  }

  /** Takes back a request that still waits for a connection, which is over then. Answers false when it does not wait. */
  withdraw(handler: PooledHandler): boolean {
    if (this.#pool?.withdraw(handler) === true || this.#h2?.withdraw(handler) === true) return true;
    for (const pool of this.#leaving.pools) if (!(pool instanceof SocketPool) && pool.withdraw(handler)) return true;
    return false;
  }

  /** An exchange is over. */
  release(): void {
    this.active--;
  }

  /** The server said how long it keeps idle connections. */
  heedKeepAlive(header: string | string[] | undefined): void {
    if (header === this.#keepAlive) return;
    this.#keepAlive = header;
    this.#announcedMs = announcedIdleMs(header);
  }

  /**
   * Whether an exchange with the endpoint could be given up now without slowing down others: on HTTP/2 always, for that costs
   * its stream alone. On HTTP/1.1 it costs its socket, and sockets lost in this way are replaced at a bounded rate. Whoever may choose whether to begin an exchange that is likely to
   * be given up, as a hedge is, asks before; what is given up is charged by itself.
   *
   * @param nowMs clock milliseconds.
   */
  affordsAbort(nowMs: number): boolean {
    return this.#usesH2 || this.#handshakes.affordsLoss(nowMs);
  }

  /** Takes a changed policy. Connections that were made under another one finish what they have. */
  reconfigure(
    policy: EffectiveConnectionPool,
    tls: EffectiveOutsideTls = SIMPLE_TLS,
    protocol: EndpointProtocol = "http",
  ): void {
    const before = this.#policy;
    const sameProtocol = this.#protocol === protocol;
    this.#protocol = protocol;
    const sameTls = this.endpoint.transport !== "tls" || JSON.stringify(this.#tls) === JSON.stringify(tls);
    this.#policy = policy;
    this.#tls = tls;
    const same =
      sameTls &&
      sameProtocol &&
      policy.maxConcurrentStreams === before.maxConcurrentStreams &&
      policy.maxConnectionsPerEndpoint === before.maxConnectionsPerEndpoint &&
      policy.connectTimeoutMs === before.connectTimeoutMs &&
      policy.keepAliveMs === before.keepAliveMs &&
      policy.maxAgeMs === before.maxAgeMs &&
      policy.maxRequestsPerConnection === before.maxRequestsPerConnection &&
      policy.preconnectRatio === before.preconnectRatio;
    if (!same) this.retireConnections();
  }

  /**
   * Counts a connection that has changed its protocol, and ends it with the pool: nobody else would. Idle limits, credentials
   * and the age of connections do not touch it: what is said on it is the application's.
   */
  keepUpgraded(socket: Duplex, onClose: () => void): void {
    this.#leaving.keepUpgraded(socket, onClose);
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
    if (this.#pool !== undefined) this.#leaving.retire(this.#pool);
    this.#pool = undefined;
    if (this.#h2 !== undefined) this.#leaving.retire(this.#h2);
    this.#h2 = undefined;
    this.#lacksH2 = false;
    if (this.#sockets !== undefined) this.#leaving.retire(this.#sockets);
    this.#sockets = undefined;
  }

  /**
   * Takes no more calls, lets those under way finish, and cuts off what has not ended after `graceMs`. Resolves when every
   * socket is closed.
   */
  close(graceMs: number): Promise<void> {
    this.#closed = true;
    this.retireConnections();
    return this.#leaving.settle(graceMs);
  }

  /** Retires the connections that an exchange that begins now must not use. */
  #enter(nowMs: number): void {
    if (this.#closed) throw this.#gone();
    // Another certificate is another set of connections, wherever this member shows one.
    const shown = this.verified || (this.#tls.mutual && this.endpoint.transport === "tls");
    const credentials = shown ? this.#transport.credentials.current : undefined;
    if (!withSameIdentity(credentials, this.#credentials) || nowMs >= this.#retireAtMs) {
      this.retireConnections();
      this.#credentials = credentials;
      this.#retireAtMs = nowMs + this.#policy.maxAgeMs * (1 + AGE_JITTER * (2 * this.#transport.random() - 1));
    }
  }

  /**
   * Makes connections beside those of calls: for health checks, which must not wait for calls nor take their places. Trust and
   * identity are checked as for calls; failures hold nobody back.
   *
   * @param alpn what they may speak, best first. @default HTTP/1.1
   */
  connectApart(connectTimeoutMs: number, alpn?: readonly string[]): Connect {
    return this.#connector(connectTimeoutMs, alpn);
  }

  #connector(connectTimeoutMs: number = this.#policy.connectTimeoutMs, alpn?: readonly string[]): Connect {
    return createConnector(
      {
        ...(alpn === undefined ? {} : { alpn }),
        endpoint: this.endpoint,
        servername: this.servername,
        tls: this.#tls,
        connectTimeoutMs,
        expected: () => this.#expected,
      },
      this.#transport,
    );
  }

  /** What carries calls now. */
  get #present(): ClientPool | H2Pool {
    if (!this.#usesH2) return this.#presentHttp1;
    this.#h2 ??= this.#transport.home.runInAsyncScope(() => this.#createH2());
    return this.#h2;
  }

  get #presentHttp1(): ClientPool {
    this.#pool ??= this.#transport.home.runInAsyncScope(() => this.#create());
    return this.#pool;
  }

  get #usesH2(): boolean {
    return this.#protocol !== "http" && !this.#lacksH2;
  }

  get #origin(): string {
    const { address, port, transport } = this.endpoint;
    const host = address.includes(":") ? `[${address}]` : address;
    return `${transport === "plaintext" ? "http" : "https"}://${host}:${port}`;
  }

  #createH2(): H2Pool {
    const { endpoint } = this;
    const isGrpc = this.#protocol === "grpc";
    const pool = new H2Pool(
      {
        origin: this.#origin,
        endpointId: endpoint.id,
        where: `endpoint ${endpoint.id} at ${endpoint.address}:${endpoint.port}`,
        policy: this.#policy,
        connect: this.#connector(this.#policy.connectTimeoutMs, H2_FIRST),
        connections: this.#connections,
        handshakes: this.#handshakes,
        trailers: isGrpc,
        onSilent: () => this.#onSilent?.(),
        onNoH2: isGrpc ? undefined : (calls) => this.#fallBack(pool, calls),
      },
      this.#transport,
    );
    return pool;
  }

  /** The endpoint speaks HTTP/1.1 alone, as members do that are older or whose framework cannot do better. */
  #fallBack(found: H2Pool, calls: readonly H2Call[]): void {
    this.counters.http2Fallbacks++;
    if (this.#h2 === found) {
      this.#leaving.retire(found);
      this.#h2 = undefined;
      this.#lacksH2 = true;
    }
    const pool = this.#presentHttp1;
    const nowMs = this.clock.now();
    for (const { options, handler, usage, context } of calls) {
      try {
        context.runInAsyncScope(() => pool.dispatch(options, handler, usage, nowMs));
      } catch (error) {
        // The pool throws errors of the mesh.
        handler.refused(error as Error);
      }
    }
  }

  #create(): ClientPool {
    const { endpoint } = this;
    const policy = this.#policy;
    const connect = this.#connector();
    const pool: ClientPool = new ClientPool(
      {
        origin: this.#origin,
        endpointId: endpoint.id,
        policy,
        connect,
        connections: this.#connections,
        handshakes: this.#handshakes,
        provesLife: endpoint.transport !== "plaintext",
        onSilent: () => this.#onSilent?.(),
        usableIdleMs: () => usableIdleMs(policy.keepAliveMs, this.#announcedMs, this.#transport.lag.currentMs),
        onUnused: () => {
          if (this.#pool !== pool) return;
          this.#pool = undefined;
          this.#leaving.retire(pool);
        },
      },
      this.#transport,
    );
    return pool;
  }

  #createSockets(): SocketPool {
    const { maxConnectionsPerEndpoint, keepAliveMs, maxRequestsPerConnection, preconnectRatio } = this.#policy;
    const pool: SocketPool = new SocketPool(
      {
        connect: this.#connector(),
        connections: maxConnectionsPerEndpoint,
        keepAliveMs,
        maxRequests: maxRequestsPerConnection,
        preconnectRatio,
        onUnused: () => {
          if (this.#sockets === pool) this.#sockets = undefined;
        },
      },
      this.#transport,
    );
    return pool;
  }

  #overflow(): MeshError {
    this.counters.pendingOverflows++;
    return new MeshError("OVERFLOW_PENDING", {
      message: `too many calls wait for a connection to endpoint ${this.endpoint.id}`,
      hint: "maxConnectionsPerEndpoint and maxPendingRequests of the Service policy's connectionPool set the bounds",
    });
  }

  #gone(): MeshError {
    return new MeshError("CONNECT_FAILED", {
      message: `endpoint ${this.endpoint.id} has left its service and takes no more calls`,
    });
  }
}
