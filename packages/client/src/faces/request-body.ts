import { AsyncResource } from "node:async_hooks";
import { Readable } from "node:stream";
import type { Flow, Reply, ReplySink } from "../reply.ts";
import type { Call } from "../send.ts";
import { undici } from "../transport/undici.ts";
import { discardWithHolder } from "./abandoned-body.ts";
import { asSeenBy, Collector } from "./collector.ts";
import { isAborted, reasonOf, type Signal } from "./follow-signal.ts";

type Trailers = Record<string, string | string[]>;

/** What a body knows of its call. */
export type BodyOwner = Pick<Call, "method" | "cancel">;

/** What a {@link RequestBody} is made of. */
export interface RequestBodyParts {
  readonly owner: BodyOwner;
  readonly reply: Reply;
  /** Filled at the end of the body. */
  readonly trailers: Trailers;
  /** What the caller may abort the call with. */
  readonly signal: Signal | undefined;
  /** Bytes that the stream holds ready for its reader. @default 65536 */
  readonly highWaterMark: number | undefined;
}

/**
 * The body of a reply as undici's `request` has it: a Node.js stream with `text()`, `json()` and their like. A body that is
 * read whole, as nearly all are, is gathered straight from the wire; the stream's machinery runs for who reads it as a stream.
 */
export class RequestBody extends Readable implements ReplySink {
  readonly #parts: RequestBodyParts;
  /** Whether it is gathered past the stream. */
  #whole = false;
  #flow: Flow | undefined = undefined;
  #over = false;
  /** The caller's async context, for a body that is still coming: connections run in that of whoever used them before. */
  readonly #context: AsyncResource | undefined;
  #web: ReadableStream | undefined = undefined;

  constructor(parts: RequestBodyParts) {
    super({ highWaterMark: parts.highWaterMark ?? 65_536 });
    this.#parts = parts;
    this.#context = watchUnread(this, parts.reply) ? undefined : new AsyncResource("tulle.body");
  }

  text(): Promise<string> {
    return this.#read((body) => decode(body, this.readableEncoding));
  }

  json(): Promise<unknown> {
    return this.#read((body): unknown => JSON.parse(decode(body, this.readableEncoding)));
  }

  bytes(): Promise<Uint8Array> {
    return this.#read(copyOf);
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#read((body) => copyOf(body).buffer);
  }

  blob(): Promise<Blob> {
    const type = String(this.#parts.reply.headers["content-type"] ?? "");
    return this.#read((body) => new Blob([copyOf(body)], { type }));
  }

  /** As in undici. @throws NotSupportedError always. */
  formData(): Promise<never> {
    return Promise.reject(new undici.errors.NotSupportedError());
  }

  /** Reads the body to its end and throws it away, so that its connection lives on; one that is longer than `limit` is aborted. */
  dump({ limit = DUMP_BYTES, signal }: { limit?: number; signal?: AbortSignal } = {}): Promise<void> {
    if (signal !== undefined && !("aborted" in signal)) {
      return Promise.reject(new undici.errors.InvalidArgumentError("signal must be an AbortSignal"));
    }
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (this.closed) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => void this.destroy(asError(signal?.reason));
      signal?.addEventListener("abort", onAbort, { once: true });
      this.on("error", nothing).on("close", () => {
        signal?.removeEventListener("abort", onAbort);
        if (signal?.aborted === true) reject(signal.reason);
        else resolve();
      });
      const { owner, reply } = this.#parts;
      const length = owner.method === "HEAD" ? 0 : Number(reply.headers["content-length"] ?? 0);
      let left = limit;
      this.on("data", (chunk: Buffer | string) => {
        left -= chunk.length;
        if (left < 0) this.destroy();
      });
      if (length > limit) this.destroy();
      else this.resume();
    });
  }

  get bodyUsed(): boolean {
    return this.#whole || Readable.isDisturbed(this);
  }

  /** The body as a web stream. undici's types deny it; its class has it. */
  get body(): never {
    if (this.#web === undefined) {
      this.#web = ReadableStream.from(this);
      if (this.#whole) this.#web.getReader();
    }
    return this.#web as never;
  }

  override _read(): void {
    if (this.#whole) return;
    if (this.#flow !== undefined) {
      this.#flow.resume();
      return;
    }
    if (this.#abortedUnread()) return;
    this.#flow = this.#parts.reply.take(this);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const reason = error ?? (this.readableEnded ? null : new undici.errors.RequestAbortedError());
    // One that broke off by itself was not given up by its caller.
    if (reason !== null && !this.#over) this.#parts.owner.cancel.cancel(reason);
    done(reason);
  }

  // The sink, in the reply's hands.

  data(chunk: Buffer): boolean {
    return this.#context === undefined ? this.push(chunk) : this.#context.runInAsyncScope(this.push, this, chunk);
  }

  end(trailers: Trailers): void {
    this.#over = true;
    addTrailers(this.#parts.trailers, trailers);
    if (this.#context === undefined) this.push(null);
    else this.#context.runInAsyncScope(this.push, this, null);
  }

  error(error: Error): void {
    this.#over = true;
    const seen = asError(asSeenBy(this.#parts.owner, error));
    // A body that breaks off tells its readers; without any it must not end the process.
    super.on("error", nothing);
    if (this.#context === undefined) this.destroy(seen);
    else this.#context.runInAsyncScope(this.destroy, this, seen);
  }

  /** The exchange is over before anybody read the body. */
  static brokeUnread(body: RequestBody, error: Error): void {
    if (body.#flow === undefined && !body.#whole) body.error(error);
  }

  /** Reads the whole body: past the stream, unless somebody uses it as one already. */
  #read<Result>(as: (body: Buffer) => Result): Promise<Result> {
    if (this.#abortedUnread() || this.destroyed || this.bodyUsed || this.#web?.locked === true) {
      return Promise.reject(
        this.errored ?? new TypeError("unusable: the body is destroyed, locked or was read before"),
      );
    }
    return this.#flow === undefined && this.readableFlowing === null ? this.#gather(as) : this.#gatherStream(as);
  }

  #gather<Result>(as: (body: Buffer) => Result): Promise<Result> {
    this.#whole = true;
    return new Promise((resolve, reject) => {
      const { owner, reply } = this.#parts;
      const whole = (body: Buffer, trailers: Trailers): void => {
        try {
          resolve(as(body));
        } catch (error) {
          reject(error);
        }
        this.end(trailers);
        // To the end of the stream too, for those who wait for its events.
        this.resume();
      };
      const broken = (error: unknown): void => {
        reject(error);
        this.error(asError(error));
      };
      reply.take(new Collector(owner, whole, broken));
    });
  }

  /** Beside whoever else listens to the stream. */
  #gatherStream<Result>(as: (body: Buffer) => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      this.on("data", (chunk: Buffer | string) => {
        chunks.push(typeof chunk === "string" ? Buffer.from(chunk, this.readableEncoding ?? "utf8") : chunk);
      });
      // Drives a stream that others have paused or read by hand; each chunk is told as `data` too.
      this.on("readable", () => {
        while (this.read() !== null);
      });
      this.on("error", reject).on("close", () => reject(new undici.errors.RequestAbortedError()));
      this.on("end", () => {
        try {
          resolve(as(Buffer.concat(chunks)));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Destroys a body that its caller gave up after it had come and before it was read. */
  #abortedUnread(): boolean {
    const { signal } = this.#parts;
    if (signal === undefined || !isAborted(signal) || this.#flow !== undefined || this.#whole) return false;
    this.error(asError(reasonOf(signal)));
    return true;
  }
}

/** How much `dump` reads at most, bytes (undici). */
const DUMP_BYTES = 131_072;

const nothing = (): void => undefined;

/** Watches over a body that is still coming; most are whole before anybody could ask. Returns whether it is over. */
const watchUnread = (body: RequestBody, reply: Reply): boolean => {
  const unread = new WeakRef(body);
  let over = false;
  reply.onDone((error) => {
    over = true;
    const held = unread.deref();
    if (error !== undefined && held !== undefined) RequestBody.brokeUnread(held, error);
  });
  if (!over) discardWithHolder(body, reply);
  return over;
};

/** The decoder of the standard leaves a byte order mark out. */
const decode = (body: Buffer, encoding: BufferEncoding | null): string => {
  const marked = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  return body.toString(encoding ?? "utf8", marked ? 3 : 0);
};

/** What arrives may share its memory with other messages of the connection. */
const copyOf = (body: Buffer): Uint8Array<ArrayBuffer> => new Uint8Array(body);

/** Names come from the peer, so none may reach a setter. */
const addTrailers = (to: Trailers, from: Trailers): void => {
  for (const name of Object.keys(from)) {
    Object.defineProperty(to, name, { value: from[name], enumerable: true, configurable: true, writable: true });
  }
};

const asError = (reason: unknown): Error =>
  reason instanceof Error ? reason : new undici.errors.RequestAbortedError(String(reason));
