import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { MeshError } from "@tulle/policy";
import type { Timer } from "@tulle/time";
import type { Connect } from "./connector.ts";
import { H2Exchange, type H2Start, type StreamOwner } from "./h2-exchange.ts";
import type { IdleConnection } from "./idle-connections.ts";
import { ResetAllowance } from "./reset-allowance.ts";
import { SilenceWatch } from "./silence.ts";
import type { Transport } from "./transport.ts";

/** What a peer may send of one stream before somebody takes it, bytes: 256 KiB (undici). */
const STREAM_WINDOW_BYTES = 262_144;

/** The same for all streams of a session together: 1 MiB. */
const SESSION_WINDOW_BYTES = 1_048_576;

/** What Node.js may hold for one session, MiB; beyond, it would refuse streams. */
const SESSION_MEMORY_MIB = 64;

/** What a session tells its pool. */
export interface SessionOwner {
  /** The peer has said what it allows, for the first time or anew. */
  allowed(session: H2Session): void;
  /** A stream is over. */
  freed(session: H2Session): void;
  /** It begins no more streams. */
  left(session: H2Session): void;
  /** The peer speaks HTTP/1.1 alone. */
  noH2(session: H2Session): void;
  /** Its socket is closed, or was never made. `error` tells why it never came to be used. */
  gone(session: H2Session, error: Error | undefined): void;
}

/** What a session is made of. */
export interface H2SessionOptions {
  readonly origin: string;
  readonly where: string;
  readonly connect: Connect;
  readonly connectTimeoutMs: number;
  /** Streams at once, beside what the peer allows. */
  readonly maxConcurrentStreams: number;
  /** Streams over its life. */
  readonly maxStreams: number;
  /** Whether streams say `te: trailers`. */
  readonly trailers: boolean;
}

/**
 * One connection in HTTP/2. It is used only when the peer's SETTINGS have come: so nothing is sent to a peer that speaks
 * something else, or that accepts connections and does nothing, and no more streams are begun than it allows.
 */
export class H2Session implements StreamOwner, IdleConnection {
  /** `leaving`: what is under way goes on, and nothing begins. */
  state: "connecting" | "open" | "leaving" | "gone" = "connecting";
  /** How many streams it may have at once. */
  limit: number;
  /** Calls that wait for it to be made. */
  assigned = 0;
  /** Clock milliseconds; counts while it has no streams. */
  idleSinceMs = 0;
  lastProcessedId: number | undefined = undefined;
  readonly streams: Set<H2Exchange> = new Set();
  readonly silence: SilenceWatch;
  readonly #owner: SessionOwner;
  readonly #options: H2SessionOptions;
  readonly #transport: Transport;
  readonly #resets: ResetAllowance;
  #session: ClientHttp2Session | undefined;
  #timer: Timer | undefined;
  #ping: Timer | undefined;
  #begun = 0;

  constructor(owner: SessionOwner, options: H2SessionOptions, limit: number, transport: Transport) {
    this.#owner = owner;
    this.#options = options;
    this.#transport = transport;
    this.limit = limit;
    const nowMs = transport.clock.now();
    this.silence = new SilenceWatch(nowMs);
    this.#resets = new ResetAllowance(nowMs);
  }

  /** Makes the connection. Exactly one of `allowed`, `noH2` and `gone` is told first. */
  open(): void {
    this.#options.connect(undefined, (error, socket) => {
      if (this.state === "gone") socket?.destroy();
      else if (socket === null) this.#end(error ?? new Error("no connection"));
      else if (socket instanceof TLSSocket && socket.alpnProtocol !== "h2") {
        socket.destroy();
        this.state = "gone";
        this.#owner.noH2(this);
      } else this.#adopt(socket);
    });
  }

  /** Whether streams may begin. The end of a session is seen here before it is told. */
  get usable(): boolean {
    return this.state === "open" && this.#session?.closed === false && !this.#session.destroyed;
  }

  /** How many more streams may begin, or calls be assigned. */
  get room(): number {
    if (this.state === "connecting") return this.limit - this.assigned;
    return this.usable ? this.limit - this.streams.size : 0;
  }

  /**
   * Begins a stream.
   *
   * @returns false when the session has ended meanwhile: nothing was begun.
   * @throws what is wrong with the request.
   */
  begin(start: H2Start): boolean {
    const session = this.#session;
    if (session === undefined || session.closed || session.destroyed) {
      this.leave();
      return false;
    }
    const { origin, trailers } = this.#options;
    if (this.streams.size === 0) session.ref();
    try {
      this.streams.add(
        new H2Exchange(session, this, start, {
          scheme: origin.startsWith("https") ? "https" : "http",
          trailers,
          reused: this.#begun > 0,
        }),
      );
    } catch (error) {
      if (this.streams.size === 0) session.unref();
      if (!isSessionEnd(error)) throw error;
      this.leave();
      return false;
    }
    this.#begun++;
    if (this.#begun >= this.#options.maxStreams) {
      this.#transport.counters.connectionsUsedUp++;
      this.leave();
    }
    return true;
  }

  /** Ends a session that nobody uses. */
  retire(): void {
    this.leave();
  }

  /** Begins no more streams; ends when those under way are over. */
  leave(): void {
    if (this.state !== "open") return;
    this.state = "leaving";
    // Not before: what was begun in this turn is not on its way yet, and would be refused here.
    if (this.streams.size === 0) this.#session?.close();
    this.#owner.left(this);
  }

  /** Cuts the connection and all its streams. */
  destroy(error: Error): void {
    if (this.state === "gone") return;
    for (const stream of this.streams) stream.destroy(error);
    if (this.#session === undefined) this.#end(error);
    else this.#session.destroy();
  }

  /** Asks a peer that owes answers and says nothing whether it lives. `silent` hears that it does not answer. */
  look(silent: () => void): void {
    const session = this.#session;
    const { clock, counters } = this.#transport;
    if (session === undefined || session.destroyed || this.#ping !== undefined) return;
    const owes = [...this.streams].some(({ awaitsReply }) => awaitsReply);
    if (!this.silence.isDue(owes, clock.now())) return;
    counters.silenceProbes++;
    const unanswered = (): void => {
      this.#ping = undefined;
      if (!this.silence.unanswered(clock.now())) return;
      counters.silences++;
      silent();
    };
    this.#ping = clock.after(this.#options.connectTimeoutMs, unanswered);
    session.ping((error) => {
      this.#ping?.cancel();
      if (this.#ping === undefined) return;
      this.#ping = undefined;
      if (error === null) this.silence.answered(clock.now());
    });
  }

  // What streams tell.

  noteHeard(): void {
    this.silence.heard++;
  }

  /** Servers end sessions whose streams are reset too fast, and all other streams with them: it is left before. */
  noteReset(): void {
    if (this.#resets.tryReset(this.#transport.clock.now())) return;
    this.#transport.counters.resetsAtLimit++;
    this.leave();
  }

  freed(exchange: H2Exchange): void {
    if (!this.streams.delete(exchange)) return;
    if (this.streams.size === 0) {
      this.idleSinceMs = this.#transport.clock.now();
      if (this.#session?.destroyed === false) this.#session.unref();
      if (this.state === "leaving") this.#session?.close();
    }
    this.#owner.freed(this);
  }

  #adopt(socket: Socket): void {
    const session = connectHttp2(this.#options.origin, {
      createConnection: () => socket,
      maxSessionMemory: SESSION_MEMORY_MIB,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
    });
    this.#session = session;
    const { home, clock } = this.#transport;
    const { connectTimeoutMs, where } = this.#options;
    let failure: Error | undefined;
    this.#timer = home.runInAsyncScope(clock.after, clock, connectTimeoutMs, () => {
      failure = noSettings(where, `nothing came within ${connectTimeoutMs} ms`);
      session.destroy();
    });
    session.once("connect", () => session.setLocalWindowSize(SESSION_WINDOW_BYTES));
    session.on("remoteSettings", ({ maxConcurrentStreams }) => {
      this.#timer?.cancel();
      this.limit = Math.min(this.#options.maxConcurrentStreams, maxConcurrentStreams ?? Number.POSITIVE_INFINITY);
      if (this.state === "connecting") {
        this.state = "open";
        this.idleSinceMs = clock.now();
        session.unref();
      }
      if (this.state === "open") this.#owner.allowed(this);
    });
    session.on("goaway", (_code: number, lastStreamId: number) => {
      this.lastProcessedId = lastStreamId;
      this.leave();
    });
    session.on("error", (error: Error) => {
      failure ??= noSettings(where, error.message, error);
    });
    session.once("close", () => {
      this.#end(this.state === "connecting" ? (failure ?? noSettings(where, "it closed the connection")) : undefined);
    });
  }

  #end(error: Error | undefined): void {
    if (this.state === "gone") return;
    this.state = "gone";
    this.#timer?.cancel();
    this.#ping?.cancel();
    this.#ping = undefined;
    this.#owner.gone(this, error);
  }
}

const noSettings = (where: string, what: string, cause?: Error): MeshError =>
  new MeshError("CONNECT_FAILED", {
    message: `${where} was expected to speak HTTP/2, and did not begin to: ${what}`,
    hint: "protocol of the Service policy says what its endpoints speak",
    ...(cause === undefined ? {} : { cause }),
  });

/** What Node.js says of a session that begins no more streams. */
const sessionEnds: ReadonlySet<unknown> = new Set([
  "ERR_HTTP2_GOAWAY_SESSION",
  "ERR_HTTP2_INVALID_SESSION",
  "ERR_HTTP2_OUT_OF_STREAMS",
  "ERR_HTTP2_SOCKET_UNBOUND",
]);

const isSessionEnd = (error: unknown): boolean =>
  error instanceof Error && "code" in error && sessionEnds.has(error.code);
