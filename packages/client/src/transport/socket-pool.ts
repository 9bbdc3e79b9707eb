import type { Socket } from "node:net";
import type { Timer } from "@tulle/time";
import { connectionsAhead } from "./connections-ahead.ts";
import type { Connect } from "./connector.ts";
import { MAX_CONCURRENT_CONNECTS } from "./handshake-limit.ts";
import type { IdleConnection } from "./idle-connections.ts";
import type { Transport } from "./transport.ts";

/** Who waits for a connection. Exactly one of the two is called, once, unless the wait is given up before. */
export interface SocketTaker {
  take(lent: LentSocket): void;
  fail(error: Error): void;
}

/** A connection in the hands of one exchange. It comes back by itself when Node.js says that it is free again. */
export interface LentSocket {
  readonly socket: Socket;
  /** Whether it carried an exchange before. */
  readonly reused: boolean;
  /** How long the peer keeps it open after this exchange, milliseconds: its `Keep-Alive` header. */
  keepFor(limitMs: number): void;
}

/** What makes a pool of sockets. */
export interface SocketPoolOptions {
  readonly connect: Connect;
  /** The most at once, idle ones included. */
  readonly connections: number;
  /** How long an idle one is kept, milliseconds. */
  readonly keepAliveMs: number;
  /** After how many exchanges one is closed; `Infinity`: never. */
  readonly maxRequests: number;
  /** Connections per exchange, the ones that are made ahead included. */
  readonly preconnectRatio: number;
  /** Hears that the pool holds no connection, nobody waits, and the last connect succeeded: it may be closed. */
  readonly onUnused: () => void;
}

/**
 * The connections to one endpoint for requests of `node:http`, which undici's pools cannot carry. Lends each to one exchange at
 * a time, the one that was used last first; waits are served in their order and bounded by the endpoint pool above.
 */
export class SocketPool {
  readonly #options: SocketPoolOptions;
  readonly #transport: Transport;
  readonly #idle: PooledSocket[] = [];
  readonly #all = new Set<PooledSocket>();
  readonly #waiting = new Set<SocketTaker>();
  #connecting = 0;
  /** Whether the last connect succeeded; nothing is made ahead where it did not. */
  #reachable = true;
  #onEmpty: (() => void) | undefined;
  #closing = false;

  constructor(options: SocketPoolOptions, transport: Transport) {
    this.#options = options;
    this.#transport = transport;
  }

  /** How many hold a connection or wait for one. */
  get taken(): number {
    return this.#all.size - this.#idle.length + this.#waiting.size;
  }

  /** Lends a connection, at once when one is idle. Returns the way to stop waiting for it. */
  lend(taker: SocketTaker): () => void {
    let idle = this.#idle.pop();
    // One that was ended says so a moment later.
    while (idle?.socket.destroyed === true) idle = this.#idle.pop();
    if (idle !== undefined) {
      this.#transport.idle.delete(idle);
      idle.wake();
      idle.exchanges++;
      taker.take(idle);
      this.#preconnect();
      return () => undefined;
    }
    this.#waiting.add(taker);
    this.#grow();
    this.#preconnect();
    return () => {
      this.#waiting.delete(taker);
      this.#settle();
    };
  }

  /** Closes idle connections now and busy ones after their exchange. Resolves when none is left. */
  close(): Promise<void> {
    this.#closing = true;
    for (const { socket } of this.#idle) socket.destroy();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#settle();
    });
  }

  /** Cuts every connection, and ends every wait. */
  destroy(): Promise<void> {
    for (const taker of this.#waiting) taker.fail(new Error("the connections of the endpoint were closed"));
    this.#waiting.clear();
    for (const { socket } of this.#all) socket.destroy();
    return Promise.resolve();
  }

  #grow(): void {
    while (this.#connecting < this.#waiting.size && this.#hasRoom) this.#connect();
  }

  get #hasRoom(): boolean {
    return this.#all.size + this.#connecting < this.#options.connections;
  }

  #preconnect(): void {
    if (this.#closing || !this.#reachable) return;
    let wanted = connectionsAhead(this.taken, this.#all.size + this.#connecting, this.#options.preconnectRatio);
    for (; wanted > 0 && this.#hasRoom && this.#connecting < MAX_CONCURRENT_CONNECTS; wanted--) {
      this.#transport.counters.preconnects++;
      this.#connect();
    }
  }

  #connect(): void {
    this.#connecting++;
    this.#options.connect(undefined, (error, socket) => {
      this.#connecting--;
      this.#reachable = socket !== null;
      if (socket === null) this.#refuse(error ?? new Error("no connection"));
      else this.#adopt(socket);
    });
  }

  /** Each failed connect is the failure of one that waits: all of them would make one dead connect the end of many calls. */
  #refuse(error: Error): void {
    const [first] = this.#waiting;
    // Where as many connects go on as calls wait, it was made ahead.
    if (this.#options.preconnectRatio > 1 && this.#connecting >= this.#waiting.size)
      this.#transport.counters.preconnectFailures++;
    else if (first !== undefined) {
      this.#waiting.delete(first);
      first.fail(error);
    }
    this.#grow();
    this.#settle();
  }

  #adopt(socket: Socket): void {
    const pooled = new PooledSocket(socket, this.#options.keepAliveMs);
    this.#all.add(pooled);
    const forget = (): void => {
      socket.off("free", free);
      pooled.wake();
      this.#all.delete(pooled);
      this.#transport.idle.delete(pooled);
      const place = this.#idle.indexOf(pooled);
      if (place >= 0) this.#idle.splice(place, 1);
      this.#grow();
      this.#settle();
      this.#tellUnused();
    };
    const free = (): void => {
      pooled.reused = true;
      if (pooled.exchanges < this.#options.maxRequests) this.#takeBack(pooled);
      else {
        this.#transport.counters.connectionsUsedUp++;
        socket.destroy();
      }
    };
    socket.on("free", free);
    // It has another protocol now and belongs to whoever asked for that.
    socket.once("agentRemove", forget);
    socket.once("close", forget);
    this.#takeBack(pooled);
  }

  #takeBack(pooled: PooledSocket): void {
    const { socket } = pooled;
    if (!socket.writable || socket.destroyed) {
      socket.destroy();
      return;
    }
    const [next] = this.#waiting;
    if (next !== undefined) {
      this.#waiting.delete(next);
      pooled.exchanges++;
      next.take(pooled);
      return;
    }
    const { home, clock } = this.#transport;
    const idleMs = pooled.idleMs();
    if (this.#closing || idleMs <= 0) {
      socket.destroy();
      return;
    }
    this.#idle.push(pooled);
    this.#transport.idle.add(pooled);
    pooled.rest(home.runInAsyncScope(clock.after, clock, idleMs, () => socket.destroy()));
  }

  #tellUnused(): void {
    if (!this.#closing && this.#reachable && this.#all.size + this.#connecting + this.#waiting.size === 0)
      this.#options.onUnused();
  }

  #settle(): void {
    if (this.#all.size + this.#connecting + this.#waiting.size > 0) return;
    this.#onEmpty?.();
    this.#onEmpty = undefined;
  }
}

/** A peer closes what it announced; our side must be the first, or a request meets a closing connection. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

class PooledSocket implements LentSocket, IdleConnection {
  readonly socket: Socket;
  reused = false;
  exchanges = 0;
  readonly #keepAliveMs: number;
  #peerKeepsMs = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(socket: Socket, keepAliveMs: number) {
    this.socket = socket;
    this.#keepAliveMs = keepAliveMs;
  }

  keepFor(limitMs: number): void {
    this.#peerKeepsMs = limitMs;
  }

  retire(): void {
    this.socket.destroy();
  }

  idleMs(): number {
    return Math.min(this.#keepAliveMs, this.#peerKeepsMs - KEEP_ALIVE_MARGIN_MS);
  }

  /** Idle from now on. It does not keep the process alive, and whatever a peer says on it unasked is the end of it. */
  rest(timer: Timer): void {
    this.#timer = timer;
    this.socket.setTimeout(0).unref().on("data", this.#unasked);
  }

  wake(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.socket.off("data", this.#unasked).ref();
  }

  readonly #unasked = (): void => void this.socket.destroy();
}
