import { AsyncResource } from "node:async_hooks";
import { type EffectiveConnectionPool, MeshError } from "@tulle/policy";
import type { Timer } from "@tulle/time";
import type { Dispatcher } from "undici";
import type { Connect } from "./connector.ts";
import type { DestinationUsage, ServiceConnections } from "./destination-usage.ts";
import type { H2Start } from "./h2-exchange.ts";
import { H2Session, type SessionOwner } from "./h2-session.ts";
import type { HandshakeLimit } from "./handshake-limit.ts";
import type { PooledHandler } from "./pooled-client.ts";
import type { Transport } from "./transport.ts";
import { undici } from "./undici.ts";
import { type WaitingCall, WaitingCalls } from "./waiting-calls.ts";

/** What a pool of sessions needs. */
export interface H2PoolOptions {
  readonly origin: string;
  /** For messages. */
  readonly endpointId: string;
  readonly where: string;
  readonly policy: EffectiveConnectionPool;
  readonly connect: Connect;
  /** Shared by all endpoints of the service. */
  readonly connections: ServiceConnections;
  /** Shared by all pools of the endpoint. */
  readonly handshakes: HandshakeLimit;
  /** Whether streams say `te: trailers`. */
  readonly trailers: boolean;
  /** Hears that the endpoint owes answers, says nothing, and answers no PING. */
  readonly onSilent: () => void;
  /** Takes over the calls of a peer that speaks HTTP/1.1 alone. `undefined`: they fail. */
  readonly onNoH2: ((calls: readonly H2Call[]) => void) | undefined;
}

/** A call without a stream. */
export interface H2Call extends WaitingCall {
  readonly handler: PooledHandler;
}

/**
 * Sessions in HTTP/2 with one endpoint, and the calls that wait for a stream. The first session with room takes a call; the
 * next one is opened when all are full (as gRPC's A105), so that there are few, and those that are not needed fall idle.
 */
export class H2Pool implements SessionOwner {
  readonly #options: H2PoolOptions;
  readonly #transport: Transport;
  /** Those that take calls: open, or being made. */
  readonly #sessions = new Set<H2Session>();
  /** Those that finish what they have. */
  readonly #leaving = new Set<H2Session>();
  /** Calls for which a session is being made: they are under way, as are those whose connection of HTTP/1.1 is. */
  readonly #assigned = new Map<PooledHandler, { readonly call: H2Call; readonly session: H2Session }>();
  readonly #waiting: WaitingCalls;
  /** Sessions whose handshake is counted as under way. */
  readonly #connecting = new Set<H2Session>();
  /** Who waits for a session that no call asked for. */
  readonly #made = new Map<H2Session, () => void>();
  /** What the peer allowed last; the next session is assumed to allow as much. */
  #limit: number;
  #idle: Timer | undefined;
  /** Set once it is closing. */
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(options: H2PoolOptions, transport: Transport) {
    this.#options = options;
    this.#transport = transport;
    this.#waiting = new WaitingCalls(transport);
    this.#limit = options.policy.maxConcurrentStreams;
  }

  /**
   * Hands a request to a session, or lets it wait for one. Follow it with the handler's `connection.release()` when the
   * exchange is over.
   *
   * @throws MeshError OVERFLOW_REQUESTS, OVERFLOW_PENDING or OVERFLOW_CONNECTIONS, and what is wrong with the request;
   * nothing was taken then.
   */
  dispatch(options: Dispatcher.DispatchOptions, handler: PooledHandler, usage: DestinationUsage, nowMs: number): void {
    if (!usage.mayBegin) throw this.#refuse("OVERFLOW_REQUESTS", usage);
    const start: H2Start = { options, handler, usage };
    // Nobody overtakes those who wait.
    const found = this.#waiting.size === 0 ? this.#place(nowMs) : "busy";
    if (typeof found !== "string") {
      if (this.#give(found, start, undefined)) return;
      // It ended in this moment.
      this.dispatch(options, handler, usage, nowMs);
      return;
    }
    if (!usage.mayWait) {
      const forConnection = !usage.waits && found === "busy";
      throw this.#refuse(forConnection ? "OVERFLOW_CONNECTIONS" : "OVERFLOW_PENDING", usage);
    }
    this.#waiting.add(handler, options, usage);
    this.#serveLater(nowMs);
  }

  /** Makes a first session where there is none, if the bounds allow one. Resolves when it is made, or has failed. */
  connectFirst(nowMs: number): Promise<void> {
    const opened = this.#sessions.size === 0 && this.#closing === undefined ? this.#tryOpen(nowMs) : "busy";
    if (typeof opened === "string") return Promise.resolve();
    this.#transport.counters.preconnects++;
    return new Promise((resolve) => this.#made.set(opened, resolve));
  }

  /** Takes back a request that has no stream yet. Answers false when it has one, or is not known. */
  withdraw(handler: PooledHandler): boolean {
    if (this.#waiting.remove(handler)) {
      this.#settleClose();
      return true;
    }
    const assigned = this.#assigned.get(handler);
    if (assigned === undefined) return false;
    this.#unassign(assigned.call);
    this.#serve();
    return true;
  }

  /** Ends every session once nothing is under way or waits. */
  close(): Promise<void> {
    this.#closing ??= Promise.withResolvers();
    this.#settleClose();
    return this.#closing.promise;
  }

  /** Ends every session now. Exchanges fail, and those that wait too. */
  async destroy(): Promise<void> {
    const closed = this.close();
    this.#waiting.refuseAll();
    const error = new undici.errors.ClientDestroyedError();
    for (const session of [...this.#sessions, ...this.#leaving]) session.destroy(error);
    this.#settleClose();
    await closed;
  }

  // What sessions tell.

  allowed(session: H2Session): void {
    this.#endConnect(session);
    this.#limit = session.limit;
    for (const { call } of this.#assignedTo(session)) {
      this.#unassign(call);
      call.context.runInAsyncScope(() => {
        // A session that its peer ends with its first words is no better than none: its calls do not ask for another here.
        if (session.usable) this.#begin(session, call);
        else call.handler.refused(this.#endedAtOnce());
      });
    }
    this.freed(session);
  }

  freed(session: H2Session): void {
    this.#serve();
    if (session.state !== "open" || session.streams.size > 0) return;
    this.#transport.idle.add(session);
    this.#watchIdle();
  }

  left(session: H2Session): void {
    if (!this.#sessions.delete(session)) return;
    this.#transport.idle.delete(session);
    this.#leaving.add(session);
    this.#serve();
  }

  gone(session: H2Session, error: Error | undefined): void {
    this.#endConnect(session);
    this.#forget(session);
    for (const { call } of this.#assignedTo(session)) {
      this.#unassign(call);
      call.context.runInAsyncScope(() => call.handler.refused(error ?? new undici.errors.ClientDestroyedError()));
    }
    this.#serve();
  }

  noH2(session: H2Session): void {
    const { onNoH2, where } = this.#options;
    if (onNoH2 === undefined) {
      this.gone(
        session,
        new MeshError("CONNECT_FAILED", {
          message: `${where} speaks no HTTP/2, which calls in gRPC need`,
          hint: "protocol of the Service policy says what its endpoints speak",
        }),
      );
      return;
    }
    this.#endConnect(session);
    this.#forget(session);
    const calls = [...this.#assigned.values()].map(({ call }) => call);
    for (const call of calls) this.#unassign(call);
    for (const [handler, call] of [...this.#waiting]) {
      this.#waiting.remove(handler);
      calls.push({ ...call, handler });
    }
    onNoH2(calls);
    this.#settleClose();
  }

  /** Asks endpoints that say nothing whether they live. */
  readonly #look = (): void => {
    for (const session of [...this.#sessions, ...this.#leaving]) {
      session.look(() => {
        this.#options.onSilent();
        const { streams } = session;
        // Who begins now had better find out on a new connection.
        session.leave();
        for (const { handler } of [...streams]) handler.silent();
      });
    }
  };

  /** A session with room, a new one, or why there is none: all are busy, or the handshakes are. */
  #place(nowMs: number): H2Session | "busy" | "connecting" {
    let connecting: H2Session | undefined;
    let useless = false;
    for (const session of this.#sessions) {
      if (session.room > 0) {
        if (session.state === "open") return session;
        connecting ??= session;
      } else if (session.state === "open" && session.limit === 0) useless = true;
    }
    if (connecting !== undefined) return connecting;
    // A peer that allows no streams at this moment would allow none on another session either.
    return useless ? "busy" : this.#tryOpen(nowMs);
  }

  #tryOpen(nowMs: number): H2Session | "busy" | "connecting" {
    const { policy, connections, handshakes } = this.#options;
    const { counters, home } = this.#transport;
    if (this.#sessions.size >= policy.maxConnectionsPerEndpoint) return "busy";
    // An endpoint's first connection is always made (as in Envoy): those who wait for it would wait for ever.
    if (connections.open >= connections.max && this.#sessions.size > 0) {
      counters.connectionsAtLimit++;
      return "busy";
    }
    if (!handshakes.tryConnect(nowMs)) {
      counters.connectsDeferred++;
      return "connecting";
    }
    connections.open++;
    const session = new H2Session(
      this,
      {
        origin: this.#options.origin,
        where: this.#options.where,
        connect: this.#options.connect,
        connectTimeoutMs: policy.connectTimeoutMs,
        maxConcurrentStreams: policy.maxConcurrentStreams,
        maxStreams: policy.maxRequestsPerConnection,
        trailers: this.#options.trailers,
      },
      Math.max(1, this.#limit),
      this.#transport,
    );
    if (this.#sessions.size + this.#leaving.size === 0) {
      home.runInAsyncScope(() => this.#transport.lag.hold(this.#look));
    }
    this.#sessions.add(session);
    this.#connecting.add(session);
    home.runInAsyncScope(() => session.open());
    return session;
  }

  #endConnect(session: H2Session): void {
    if (this.#connecting.delete(session)) this.#options.handshakes.connected();
    this.#made.get(session)?.();
    this.#made.delete(session);
  }

  /** Begins a call on a session that has room, or notes that it waits for it. Answers false when the session has ended. */
  #give(session: H2Session, start: H2Start, context: AsyncResource | undefined): boolean {
    if (session.state !== "connecting") {
      this.#transport.idle.delete(session);
      return session.begin(start);
    }
    start.usage.requests++;
    session.assigned++;
    const call = { ...start, context: context ?? new AsyncResource("tulle.pending") };
    this.#assigned.set(start.handler, { call, session });
    return true;
  }

  /** Begins a call whose turn has come; one for which there is no room after all is dispatched anew. */
  #begin(session: H2Session, { options, handler, usage }: H2Call): void {
    try {
      if (usage.mayBegin && session.room > 0 && this.#give(session, { options, handler, usage }, undefined)) return;
      this.dispatch(options, handler, usage, this.#transport.clock.now());
    } catch (error) {
      // What is thrown here is an Error: ours, undici's or Node.js's.
      handler.refused(error as Error);
    }
  }

  #assignedTo(session: H2Session): { readonly call: H2Call }[] {
    return [...this.#assigned.values()].filter((each) => each.session === session);
  }

  #unassign({ handler, usage }: H2Call): void {
    const assigned = this.#assigned.get(handler);
    if (assigned === undefined) return;
    this.#assigned.delete(handler);
    assigned.session.assigned--;
    usage.requests--;
  }

  /** Gives streams to those who wait, in their order. */
  #serve(): void {
    const nowMs = this.#transport.clock.now();
    for (const [handler, waiting] of this.#waiting) {
      const call: H2Call = { ...waiting, handler };
      const { usage, context } = call;
      const found = usage.mayBegin ? this.#place(nowMs) : undefined;
      if (typeof found === "string") {
        this.#serveLater(nowMs);
        return;
      }
      this.#waiting.remove(handler);
      context.runInAsyncScope(() => {
        // Another endpoint's calls took the destination's last place meanwhile.
        if (found === undefined) handler.refused(this.#refuse("OVERFLOW_REQUESTS", usage));
        else if (found.state === "connecting") this.#give(found, call, context);
        else this.#begin(found, call);
      });
    }
    this.#settleClose();
  }

  /** Wakes those who wait for the handshakes' bucket: no stream that becomes free would. */
  #serveLater(nowMs: number): void {
    const waitMs = this.#options.handshakes.waitMs(nowMs);
    if (waitMs !== undefined && waitMs > 0) this.#waiting.wakeAfter(waitMs, () => this.#serve());
  }

  /** Ends sessions that nobody has used for long. One timer for all, set when one falls idle and never per request. */
  #watchIdle(): void {
    if (this.#idle !== undefined || this.#closing !== undefined) return;
    const { home, clock, counters } = this.#transport;
    const { keepAliveMs } = this.#options.policy;
    const oldest = this.#idleSessions().reduce((since, { idleSinceMs }) => Math.min(since, idleSinceMs), clock.now());
    const waitMs = Math.max(1, oldest + keepAliveMs - clock.now());
    this.#idle = home.runInAsyncScope(clock.after, clock, waitMs, () => {
      this.#idle = undefined;
      const nowMs = clock.now();
      for (const session of this.#idleSessions()) {
        if (nowMs - session.idleSinceMs < keepAliveMs) continue;
        counters.idleRetired++;
        session.leave();
      }
      if (this.#idleSessions().length > 0) this.#watchIdle();
    });
  }

  #idleSessions(): H2Session[] {
    return [...this.#sessions].filter(({ state, streams }) => state === "open" && streams.size === 0);
  }

  #forget(session: H2Session): void {
    const known = this.#sessions.delete(session) || this.#leaving.delete(session);
    if (!known) return;
    this.#transport.idle.delete(session);
    this.#options.connections.open--;
    if (this.#sessions.size + this.#leaving.size === 0) this.#transport.lag.release(this.#look);
  }

  #settleClose(): void {
    const closing = this.#closing;
    if (closing === undefined || this.#waiting.size > 0) return;
    this.#idle?.cancel();
    for (const session of this.#sessions) if (session.assigned === 0) session.leave();
    if (this.#sessions.size > 0 || this.#leaving.size > 0) return;
    this.#waiting.close();
    closing.resolve();
  }

  #endedAtOnce(): MeshError {
    return new MeshError("CONNECT_FAILED", { message: `${this.#options.where} ended the session as soon as it began` });
  }

  #refuse(code: "OVERFLOW_REQUESTS" | "OVERFLOW_PENDING" | "OVERFLOW_CONNECTIONS", usage: DestinationUsage): MeshError {
    const { counters } = this.#transport;
    if (code === "OVERFLOW_REQUESTS") counters.requestOverflows++;
    else if (code === "OVERFLOW_PENDING") counters.pendingOverflows++;
    else counters.connectionOverflows++;
    return usage.overflow(code, this.#options.endpointId);
  }
}
