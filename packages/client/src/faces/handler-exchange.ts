import { AsyncResource } from "node:async_hooks";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { isMeshError } from "@tulle/policy";
import type { Dispatcher } from "undici";
import { belongsTo, type MeshCall } from "../call.ts";
import type { Flow, Reply, ReplySink } from "../reply.ts";
import { discardBody } from "../retry/replay-body.ts";
import type { Informed, Send } from "../send.ts";
import { undici } from "../transport/undici.ts";
import { failureReply } from "./failure-reply.ts";

/** Headers as undici parses them. */
type ParsedHeaders = Record<string, string | string[] | undefined>;

/**
 * Between one call and the undici handler that waits for it. To the handler it is the one controller of the whole exchange,
 * whatever attempt is under way; to the reply it is where the body goes. The handler runs in its caller's async context:
 * undici's own callbacks run in that of whoever used the connection before.
 */
export class HandlerExchange implements Dispatcher.DispatchController, ReplySink, Informed {
  aborted = false;
  paused = false;
  reason: Error | null = null;
  rawHeaders: Buffer[] | string[] | null = null;
  rawTrailers: Buffer[] | string[] | null = null;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #call: MeshCall;
  readonly #wantsReply: boolean;
  #reply: Reply | undefined = undefined;
  #flow: Flow | undefined = undefined;
  /** Made only when a body goes on after its headers: until then everything runs in the caller's context by itself. */
  #context: AsyncResource | undefined = undefined;
  #over = false;

  constructor(handler: Dispatcher.DispatchHandler, call: MeshCall, wantsReply: boolean) {
    this.#handler = handler;
    this.#call = call;
    this.#wantsReply = wantsReply;
  }

  begin(send: Send): void {
    try {
      this.#handler.onRequestStart?.(this, this.#call);
    } catch (error) {
      this.abort(error as Error);
    }
    if (this.aborted) {
      this.error(this.reason as Error);
      return;
    }
    this.#call.informed = this;
    send(this.#call).then(
      (reply) => this.#begin(reply),
      (error: unknown) => this.#fail(error as Error),
    );
  }

  // The controller, in the handler's hands.

  abort(reason: Error): void {
    if (this.aborted || this.#over) return;
    this.aborted = true;
    this.reason = reason ?? new undici.errors.RequestAbortedError();
    this.#call.cancel.cancel(this.reason);
  }

  pause(): void {
    this.paused = true;
    this.#flow?.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    if (this.#flow !== undefined) this.#flow.resume();
    else if (this.#reply !== undefined) this.#take(this.#reply);
  }

  // What comes before the reply.

  onInformation(status: number, headers: ParsedHeaders, rawHeaders: readonly (string | Buffer)[]): void {
    if (this.aborted || this.#over) return;
    this.rawHeaders = rawHeaders as Buffer[];
    try {
      // Parsed headers as undici makes them, for whom `undefined` is no value.
      this.#handler.onResponseStart?.(this, status, headers as Record<string, string | string[]>, STATUS_CODES[status]);
    } catch (error) {
      this.abort(error as Error);
    }
  }

  // The sink, in the reply's hands.

  data(chunk: Buffer): boolean {
    this.#tell(this.#handler.onResponseData, chunk);
    return !this.paused;
  }

  end(trailers: Record<string, string | string[]>): void {
    if (this.#over) return;
    this.#over = true;
    const thrown = this.#tell(this.#handler.onResponseEnd, trailers);
    // A handler may make a failure of a whole reply: undici's own retries do.
    if (thrown !== undefined) this.#tell(this.#handler.onResponseError, thrown);
  }

  error(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    discardBody(this.#call.body, error);
    this.#tell(this.#handler.onResponseError, error);
  }

  #begin(reply: Reply): void {
    this.#reply = reply;
    // HTTP/1.1 keeps them as a flat list, as undici's controller does.
    this.rawHeaders = reply.rawHeaders as Buffer[];
    if (reply.upgraded !== undefined) {
      this.#upgrade(reply, reply.upgraded);
      return;
    }
    if (!this.#start(reply.status, reply.headers, reply.statusText)) return;
    if (!this.paused) this.#take(reply);
  }

  /** Hands the connection over. A handler that cannot take it, or throws, ends it. */
  #upgrade(reply: Reply, socket: Duplex): void {
    try {
      if (this.#handler.onRequestUpgrade === undefined) throw new undici.errors.SocketError("bad upgrade");
      this.#handler.onRequestUpgrade(this, reply.status, reply.headers as Record<string, string | string[]>, socket);
    } catch (error) {
      this.abort(error as Error);
    }
    if (this.aborted) {
      socket.destroy();
      this.error(this.reason as Error);
    }
    this.#over = true;
  }

  #take(reply: Reply): void {
    this.#flow = reply.take(this);
    if (this.#over) return;
    this.#context = new AsyncResource("tulle.call");
    if (this.paused) this.#flow.pause();
  }

  /** Tells the handler of the headers. Returns false when it wants no more. */
  #start(status: number, headers: ParsedHeaders, statusText: string): boolean {
    try {
      this.#handler.onResponseStarted?.();
      // Parsed headers as undici makes them, for whom `undefined` is no value.
      this.#handler.onResponseStart?.(this, status, headers as Record<string, string | string[]>, statusText);
    } catch (error) {
      this.abort(error as Error);
    }
    if (!this.aborted) return true;
    // Nothing is taken of a reply that was given up, so nobody else would tell the handler.
    this.error(this.reason as Error);
    return false;
  }

  #fail(error: Error): void {
    if (isMeshError(error)) {
      belongsTo(error, this.#call);
      this.#call.failure = error;
    }
    if (!this.#wantsReply || !isMeshError(error) || this.aborted) {
      this.error(error);
      return;
    }
    discardBody(this.#call.body, error);
    this.#begin(failureReply(error, this.#call));
  }

  /** Runs one of the handler's callbacks. One that throws gives up the exchange, as in undici; what it threw comes back. */
  #tell<Value>(
    callback: ((controller: Dispatcher.DispatchController, value: Value) => void) | undefined,
    value: Value,
  ): Error | undefined {
    if (callback === undefined) return undefined;
    try {
      if (this.#context === undefined) callback.call(this.#handler, this, value);
      else this.#context.runInAsyncScope(callback, this.#handler, this, value);
      return undefined;
    } catch (error) {
      this.abort(error as Error);
      return error as Error;
    }
  }
}
