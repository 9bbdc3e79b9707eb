import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import type { Dispatcher } from "undici";
import type { DestinationUsage } from "./destination-usage.ts";
import { h2BodyOf, type StopBody, writeParts } from "./h2-body.ts";
import { headersByName, toH2Request, withoutPseudo } from "./h2-headers.ts";
import type { ExchangeConnection, PooledHandler } from "./pooled-client.ts";
import { undici } from "./undici.ts";

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

/** The type of the frame that begins a stream (RFC 9113, 6.2); Node.js tells types as numbers. */
const HEADERS_FRAME = 1;

/** What a stream must know of its session, and tells it. */
export interface StreamOwner {
  /** What the peer's GOAWAY said it may have processed; `undefined` while it sent none. */
  readonly lastProcessedId: number | undefined;
  noteHeard(): void;
  /** A caller gave up its stream. */
  noteReset(): void;
  /** The stream is closed on both sides. */
  freed(exchange: H2Exchange): void;
}

/** What is sent. */
export interface H2Start {
  readonly options: Dispatcher.DispatchOptions;
  readonly handler: PooledHandler;
  readonly usage: DestinationUsage;
}

/**
 * One stream of a session: at once undici's controller of the exchange and the connection that carries it, so that the
 * exchange above cannot tell it from one of HTTP/1.1. To give it up costs the stream alone.
 */
export class H2Exchange implements ExchangeConnection, Dispatcher.DispatchController {
  readonly handler: PooledHandler;
  readonly reused: boolean;
  rawHeaders: string[] | null = null;
  rawTrailers: string[] | null = null;
  aborted = false;
  paused = false;
  reason: Error | null = null;
  readonly #owner: StreamOwner;
  readonly #stream: ClientHttp2Stream;
  #usage: DestinationUsage | undefined;
  #stopBody: StopBody | undefined = undefined;
  #answered = false;
  /** Whether the handler has been told how it ended. */
  #settled = false;
  #neverSent = false;
  #error: Error | undefined = undefined;
  /** Bytes of the body that came, and that were announced. */
  #received = 0;
  #expected: number | undefined = undefined;
  readonly #isHead: boolean;
  #trailers: Record<string, string | string[]> = {};

  /**
   * Begins a stream.
   *
   * @throws whatever is wrong with the request, or with the session; nothing was begun then.
   */
  constructor(
    session: ClientHttp2Session,
    owner: StreamOwner,
    { options, handler, usage }: H2Start,
    how: { readonly scheme: "http" | "https"; readonly trailers: boolean; readonly reused: boolean },
  ) {
    // The dispatch always hands its headers on as a flat list.
    const list = options.headers as readonly string[];
    const { headers, contentLength } = toH2Request(options.method, options.path, how.scheme, list, how.trailers);
    const body = h2BodyOf(options.body);
    if (body.kind === "whole") {
      if (contentLength !== undefined && contentLength !== body.length) {
        throw new undici.errors.RequestContentLengthMismatchError();
      }
      headers["content-length"] = String(body.length);
    } else if (body.kind === "stream") {
      if (body.type !== undefined && body.type !== "") headers["content-type"] ??= body.type;
      if (body.length !== undefined) headers["content-length"] ??= String(body.length);
    }
    const empty = body.kind === "none" || (body.kind === "whole" && body.length === 0);
    if (body.kind === "none" && contentLength !== undefined && contentLength > 0) {
      throw new undici.errors.RequestContentLengthMismatchError();
    }
    this.handler = handler;
    this.reused = how.reused;
    this.#owner = owner;
    this.#isHead = options.method === "HEAD";
    const stream = session.request(headers, { endStream: empty });
    this.#stream = stream;
    this.#usage = usage;
    usage.requests++;
    handler.connection = this;
    stream.on("response", this.#onResponse);
    stream.on("headers", this.#onInformation);
    stream.on("trailers", this.#onTrailers);
    stream.on("end", this.#onEnd);
    stream.on("error", this.#onError);
    stream.on("frameError", this.#onFrameError);
    stream.on("close", this.#onClose);
    handler.onRequestStart?.(this, {});
    if (empty) return;
    if (body.kind === "whole") stream.end(body.bytes);
    else {
      this.#stopBody = writeParts(body.source, stream, contentLength, (error) => {
        this.#error ??= error;
        this.#settle();
        this.#cut(NGHTTP2_CANCEL);
      });
    }
  }

  /** Whether the request was begun and its reply has not. */
  get awaitsReply(): boolean {
    return this.handler.awaitsReply;
  }

  // The connection, in the exchange's hands.

  /** A stream is used once, and its session is none of its exchange's to judge. */
  spoil(): void {}

  abandon(): void {
    this.#owner.noteReset();
  }

  noteHeard(): void {
    this.#owner.noteHeard();
  }

  detach(): void {}

  release(): void {
    if (this.#usage !== undefined) this.#usage.requests--;
    this.#usage = undefined;
  }

  // The controller.

  abort(reason: Error): void {
    if (this.aborted || this.#settled) return;
    this.aborted = true;
    this.reason = reason;
    this.#cut(NGHTTP2_CANCEL);
    this.#settle();
  }

  pause(): void {
    this.paused = true;
    this.#stream.pause();
  }

  resume(): void {
    this.paused = false;
    this.#stream.resume();
  }

  /** Cuts the stream, whatever it does. */
  destroy(error: Error): void {
    this.#error ??= error;
    this.#stream.destroy();
  }

  // The events of the stream.

  readonly #onInformation = (headers: { ":status"?: number }, _flags: number, raw: readonly string[]): void => {
    const list = withoutPseudo(raw);
    this.rawHeaders = list;
    if (!this.#settled) this.handler.onResponseStart?.(this, headers[":status"] ?? 0, headersByName(list), "");
  };

  readonly #onResponse = (headers: { ":status"?: number }, _flags: number, raw: readonly string[]): void => {
    if (this.#settled) return;
    this.#answered = true;
    const status = headers[":status"] ?? 0;
    const list = withoutPseudo(raw);
    this.rawHeaders = list;
    const parsed = headersByName(list);
    const { "content-length": length } = parsed;
    if (typeof length === "string" && !this.#isHead && status !== 304) this.#expected = Number(length);
    // Only now, so that nothing flows before somebody can be told of it.
    this.#stream.on("data", this.#onData);
    this.handler.onResponseStart?.(this, status, parsed, "");
  };

  readonly #onData = (chunk: Buffer): void => {
    if (this.#settled) return;
    this.#received += chunk.length;
    this.handler.onResponseData?.(this, chunk);
  };

  readonly #onTrailers = (_headers: unknown, _flags: number, raw: readonly string[]): void => {
    const list = withoutPseudo(raw);
    this.rawTrailers = list;
    this.#trailers = headersByName(list);
  };

  readonly #onEnd = (): void => {
    // A stream that was reset ends as well; how it ended is told by its "close".
    if (this.#settled || !this.#answered || (this.#stream.rstCode ?? NGHTTP2_NO_ERROR) !== NGHTTP2_NO_ERROR) return;
    if (this.#expected !== undefined && this.#expected !== this.#received) {
      this.#error = new undici.errors.ResponseContentLengthMismatchError();
      this.#cut(NGHTTP2_CANCEL);
      this.#settle();
      return;
    }
    this.#settled = true;
    // The whole answer is there: whatever the caller still sends, nobody waits for it.
    this.#stopBody?.();
    if (!this.#stream.writableEnded) this.#cut(NGHTTP2_NO_ERROR);
    this.handler.onResponseEnd?.(this, this.#trailers);
  };

  readonly #onError = (error: Error): void => {
    this.#error ??= error;
  };

  /** A frame could not be sent: of a stream that was begun when the peer's GOAWAY had come already. */
  readonly #onFrameError = (type: number): void => {
    if (type === HEADERS_FRAME) this.#neverSent = true;
  };

  readonly #onClose = (): void => {
    this.#stopBody?.();
    this.#owner.freed(this);
    // The end of a session tells its streams before its own listeners, and these know what the peer has processed.
    if (!this.#settled) setImmediate(() => this.#settle());
  };

  /** Ends the stream. Destroyed too, for Node.js tells no end of one that is closed before its headers were sent. */
  #cut(code: number): void {
    this.#stream.close(code);
    this.#stream.destroy();
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#stopBody?.();
    const { handler } = this;
    if (this.reason !== null) handler.onResponseError?.(this, this.reason);
    else if (!this.#answered && this.#isUnprocessed()) handler.unprocessed(this.#broken());
    else handler.onResponseError?.(this, this.#broken());
  }

  /** Whether the peer said that it has not begun with the request, or cannot have heard of it (RFC 9113, 8.7). */
  #isUnprocessed(): boolean {
    const { id, rstCode } = this.#stream;
    const last = this.#owner.lastProcessedId;
    return (
      this.#neverSent || rstCode === NGHTTP2_REFUSED_STREAM || id === undefined || (last !== undefined && id > last)
    );
  }

  #broken(): Error {
    if (this.#error !== undefined) return this.#error;
    const code = this.#stream.rstCode ?? NGHTTP2_NO_ERROR;
    return Object.assign(new Error(`the stream ended with ${nameOfCode(code)}`), { code: "ERR_HTTP2_STREAM_ERROR" });
  }
}

/** The error codes of RFC 9113, 7, by their numbers. */
const codeNames = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
];

const nameOfCode = (code: number): string => codeNames[code] ?? String(code);
