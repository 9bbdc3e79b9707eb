import type { Clock, Timer } from "@tulle/time";
import type { Dispatcher } from "undici";
import type { Flow, ReplySink } from "../reply.ts";
import { DISCARD_BYTES, DISCARD_IDLE_MS, Waste } from "./discard.ts";

/** Body that may arrive before anybody takes it, bytes; the connection is paused beyond. */
export const EARLY_BODY_BYTES = 65_536;

/** How far an exchange has come. */
export type ExchangeState =
  /** No final headers yet. */
  | "waiting"
  /** Final headers were given to the caller; body to come. */
  | "replying"
  /** Whole, broken or given up. */
  | "over";

/**
 * The body of a reply on its way to whoever takes it: held until then, paused when its reader is slow, bounded in its silence.
 * The base of an exchange and not a part of it: one object per attempt.
 */
export abstract class ReplyBody implements Flow {
  protected state: ExchangeState = "waiting";
  protected controller: Dispatcher.DispatchController | undefined = undefined;
  /** Why the body is not whole, once it is over. */
  protected error: Error | undefined = undefined;
  readonly #clock: Clock;
  readonly #idleTimeoutMs: number;
  #sink: ReplySink | undefined = undefined;
  /** Chunks that came before the sink, or while it had asked for a pause. */
  #held: Buffer[] | undefined = undefined;
  #heldBytes = 0;
  #paused = false;
  /** What came behind the body, once it is over. */
  trailers: Record<string, string | string[]> | undefined = undefined;
  /** Whether the sink has been told how the body ended. */
  #told = false;
  #onDone: ((error: Error | undefined) => void) | undefined = undefined;
  #lastChunkMs = 0;
  #idleTimer: Timer | undefined = undefined;

  constructor(clock: Clock, idleTimeoutMs: number) {
    this.#clock = clock;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** Ends the exchange because the body was silent for too long. */
  protected abstract silentFor(limitMs: number): void;

  /** Ends an exchange whose body is not worth reading, without an error for whoever waits. */
  protected abstract cutShort(): void;

  abstract abort(reason: Error): void;

  take(sink: ReplySink): Flow {
    if (this.#sink !== undefined) throw new Error("the body of this reply was taken or discarded before");
    this.#sink = sink;
    this.#watchIdle(this.#idleTimeoutMs);
    this.#flush(sink);
    return this;
  }

  onDone(listener: (error: Error | undefined) => void): void {
    if (this.state === "over") {
      listener(this.error);
      return;
    }
    const before = this.#onDone;
    this.#onDone =
      before === undefined
        ? listener
        : (error) => {
            before(error);
            listener(error);
          };
  }

  pause(): void {
    this.#paused = true;
    if (this.state === "replying") this.controller?.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#sink !== undefined) this.#flush(this.#sink);
  }

  /** Reads a body that nobody wants to its end, where that is cheaper than a new connection. */
  protected discardBody(contentLength: number): void {
    if (this.#sink !== undefined) return;
    const waste = new Waste(() => this.cutShort());
    this.#sink = waste;
    if (contentLength > DISCARD_BYTES) {
      this.cutShort();
      return;
    }
    this.#watchIdle(Math.min(this.#idleTimeoutMs, DISCARD_IDLE_MS));
    this.#flush(waste);
  }

  /** Takes a chunk off the wire. Answers whether it filled what is held for nobody yet. */
  protected receive(controller: Dispatcher.DispatchController, chunk: Buffer): boolean {
    if (this.#sink !== undefined && this.#held === undefined && !this.#paused) {
      this.#lastChunkMs = this.#clock.now();
      if (!this.#sink.data(chunk)) this.pause();
      return false;
    }
    this.#held ??= [];
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < EARLY_BODY_BYTES || controller.paused) return false;
    controller.pause();
    return this.#sink === undefined;
  }

  protected receiveTrailers(trailers: Record<string, string | string[]>): void {
    this.trailers = trailers;
  }

  /** What its reader has not taken is of no use to a call that is given up. */
  protected forget(): void {
    this.#held = undefined;
  }

  protected stopWatching(): void {
    this.#idleTimer?.cancel();
  }

  /** The body is over: tells the sink, once it has taken what is held, and whoever waits for the end. */
  protected tellEnd(): void {
    if (this.#sink !== undefined) this.#flush(this.#sink);
    this.#onDone?.(this.error);
  }

  /** Gives the sink what was held, and the end once nothing is. */
  #flush(sink: ReplySink): void {
    const held = this.#held;
    if (held !== undefined) {
      let given = 0;
      while (given < held.length && !this.#paused) {
        const chunk = held[given++];
        if (chunk !== undefined && !sink.data(chunk)) this.#paused = true;
      }
      if (given < held.length) {
        this.#held = held.slice(given);
        return;
      }
      this.#held = undefined;
      this.#heldBytes = 0;
    }
    if (this.state === "over") {
      if (this.#told) return;
      this.#told = true;
      if (this.error === undefined) sink.end(this.trailers ?? {});
      else sink.error(this.error);
    } else if (!this.#paused && this.controller?.paused === true) {
      this.#lastChunkMs = this.#clock.now();
      this.controller.resume();
    }
  }

  #watchIdle(limitMs: number): void {
    if (limitMs === Number.POSITIVE_INFINITY || this.state !== "replying") return;
    const clock = this.#clock;
    this.#lastChunkMs = clock.now();
    const check = (): void => {
      const silentMs = clock.now() - this.#lastChunkMs;
      if (this.#paused || silentMs < limitMs) {
        // A paused body is silent because its reader is slow, which is no fault of the peer.
        this.#idleTimer = clock.after(this.#paused ? limitMs : limitMs - silentMs, check);
        return;
      }
      this.silentFor(limitMs);
    };
    this.#idleTimer = clock.after(limitMs, check);
  }
}
