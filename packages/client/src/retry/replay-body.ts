import type { Dispatcher } from "undici";

/** Bodies up to this many bytes are kept for another attempt (Linkerd's replay buffer): 64 KiB. */
export const REPLAY_BOUND_BYTES = 65_536;

type Body = Dispatcher.DispatchOptions["body"];

/** A body made ready for attempts. */
export interface PreparedBody {
  readonly body: Body;
  /** Whether it lies in memory and can be sent again after it was sent. */
  readonly replayable: boolean;
}

/** What bodies tell; totals over the life of the client. */
export interface ReplayCounters {
  /** Streams that turned out to be larger than {@link REPLAY_BOUND_BYTES}, so that they could be sent once only. */
  bodiesBeyondReplay: number;
}

const none: PreparedBody = { body: null, replayable: true };

/**
 * Prepares a body: absent ones, blobs, and strings and bytes up to the bound can be sent again, as they are; larger ones are
 * sent once. Streams are wrapped, so that what is read of them is kept up to the bound, and so that they stay untouched until an
 * attempt really reads them: undici destroys a stream that it was handed even if the connection for it was never made.
 */
export const prepareBody = (
  body: Body | undefined,
  counters: ReplayCounters = { bodiesBeyondReplay: 0 },
): PreparedBody => {
  if (body === null || body === undefined) return none;
  if (typeof body === "string") {
    // A UTF-16 unit is at most three bytes of UTF-8, so most strings need not be measured.
    const fits = body.length * 3 <= REPLAY_BOUND_BYTES || Buffer.byteLength(body) <= REPLAY_BOUND_BYTES;
    return { body, replayable: fits };
  }
  if (ArrayBuffer.isView(body) || isArrayBuffer(body)) {
    return { body, replayable: body.byteLength <= REPLAY_BOUND_BYTES };
  }
  if ((body as unknown) instanceof BlobBody) return { body, replayable: true };
  // Types of undici do not tell, but it takes any async iterable, and readable streams are ones.
  if (isAsyncIterable(body)) return { body: new StreamBody(body, counters) as unknown as Body, replayable: false };
  return { body, replayable: false };
};

/**
 * Whether a body can go with a further attempt: `kept` ones always, `unsent` ones as long as nothing of them was sent, `spent`
 * ones no more.
 */
export type BodyState = "kept" | "unsent" | "spent";

/** The state of a call's body. @param replayable as {@link prepareBody} told it */
export const bodyState = (body: Body, replayable: boolean): BodyState => {
  if (isStreamBody(body)) return body.replayable ? "kept" : "spent";
  return replayable ? "kept" : "unsent";
};

/** Whether two attempts may send a body at the same time. @param replayable as {@link prepareBody} told it */
export const isWholeBody = (body: Body, replayable: boolean): boolean => (isStreamBody(body) ? body.whole : replayable);

/** Takes a body from the attempt that sends it, so that the next one finds all of it. */
export const rewindBody = (body: Body): void => {
  if (isStreamBody(body)) body.rewind();
};

/** No attempt follows the one that sends the body now: nothing of it needs to be kept any longer. */
export const releaseBody = (body: Body): void => {
  if (isStreamBody(body)) body.release();
};

/** Gives up a body whose call is over; without effect for bodies in memory. */
export const discardBody = (body: Body, reason: Error): void => {
  if (isStreamBody(body)) body.discard(reason);
};

/** Whether a body comes from a stream. */
export const isStreamBody = (body: unknown): body is StreamBody => body instanceof StreamBody;

/** A body that is kept elsewhere, in memory or in a file, never changes, and is read anew by each attempt. */
export class BlobBody implements AsyncIterable<Uint8Array> {
  readonly #blob: Blob;

  constructor(blob: Blob) {
    this.#blob = blob;
  }

  /** Bytes. */
  get size(): number {
    return this.#blob.size;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this.#blob.stream()[Symbol.asyncIterator]();
  }
}

type Chunk = Uint8Array | string;

/**
 * A body that comes from a stream or an async iterable. What attempts read of it is kept up to {@link REPLAY_BOUND_BYTES}, by
 * reference, and read again by the attempt after. Its source is read for one attempt at a time, and only when that attempt asks, so
 * the network's backpressure reaches the source.
 */
export class StreamBody implements AsyncIterable<Chunk> {
  readonly #source: AsyncIterable<Chunk>;
  readonly #counters: ReplayCounters;
  #iterator: AsyncIterator<Chunk> | undefined = undefined;
  /** All that was read, or beyond the bound what its reader has not got yet. */
  readonly kept: Chunk[] = [];
  #keptBytes = 0;
  /** Whether more was read than is kept, or nothing must be kept any longer: whoever reads now is the last. */
  #last = false;
  #forgot = false;
  #released = false;
  #ended = false;
  #failure: { readonly error: unknown } | undefined = undefined;
  #pulling: Promise<void> | undefined = undefined;
  #reader: StreamReader | undefined = undefined;

  constructor(source: AsyncIterable<Chunk>, counters: ReplayCounters) {
    this.#source = source;
    this.#counters = counters;
  }

  /** Whether a further attempt would find all of it. */
  get replayable(): boolean {
    return !this.#last && this.#failure === undefined;
  }

  /** Whether all of it is kept, so that several attempts may read it at the same time. */
  get whole(): boolean {
    return this.#ended && this.replayable;
  }

  [Symbol.asyncIterator](): AsyncIterator<Chunk> {
    const reader = new StreamReader(this);
    // A reader that would find only the rest is not served.
    if (!this.#forgot) this.#reader = reader;
    return reader;
  }

  /** Whether this attempt may go on reading. */
  serves(reader: StreamReader): boolean {
    return reader === this.#reader || this.whole;
  }

  /** Reads on. Resolves when there is more in {@link kept}; to `false` at the end. */
  async more(): Promise<boolean> {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#ended) return false;
    this.#pulling ??= this.#pull();
    await this.#pulling;
    return true;
  }

  /** Lets go of what the reader has got, if nothing needs to be kept for another. Tells whether it did. */
  forgets(): boolean {
    if (!this.#last || this.kept.length === 0) return false;
    this.kept.length = 0;
    this.#forgot = true;
    return true;
  }

  /** A reader will read no more, before the end. */
  left(reader: StreamReader): void {
    if (reader !== this.#reader) return;
    this.#reader = undefined;
    if (this.#released) this.discard(new Error("the reply came before all of the body was sent"));
  }

  rewind(): void {
    this.#reader = undefined;
  }

  release(): void {
    this.#last = true;
    this.#released = true;
    if (this.#reader === undefined) this.discard(new Error("the reply came before all of the body was sent"));
  }

  /** Gives up the source, unless it has ended. */
  discard(reason: Error): void {
    if (this.#ended || this.#failure !== undefined) return;
    this.#failure = { error: reason };
    this.#reader = undefined;
    this.kept.length = 0;
    const source: { destroy?: unknown; cancel?: unknown; on?: unknown } = this.#source as object;
    if (typeof source.destroy === "function") {
      if (typeof source.on === "function") source.on.call(this.#source, "error", () => undefined);
      source.destroy.call(this.#source, reason);
    } else if (this.#iterator !== undefined) {
      this.#iterator.return?.().catch(() => undefined);
    } else if (typeof source.cancel === "function") {
      Promise.resolve(source.cancel.call(this.#source, reason)).catch(() => undefined);
    }
  }

  async #pull(): Promise<void> {
    try {
      this.#iterator ??= this.#source[Symbol.asyncIterator]();
      const { done, value } = await this.#iterator.next();
      if (done === true) this.#ended = true;
      else this.#keep(value);
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#pulling = undefined;
    }
  }

  #keep(chunk: Chunk): void {
    this.kept.push(chunk);
    if (this.#last) return;
    this.#keptBytes += typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.byteLength;
    if (this.#keptBytes <= REPLAY_BOUND_BYTES) return;
    this.#last = true;
    this.#counters.bodiesBeyondReplay++;
  }
}

/** One attempt's way through a {@link StreamBody}. */
class StreamReader implements AsyncIterator<Chunk> {
  readonly #body: StreamBody;
  #at = 0;
  #over = false;

  constructor(body: StreamBody) {
    this.#body = body;
  }

  async next(): Promise<IteratorResult<Chunk, undefined>> {
    const body = this.#body;
    for (;;) {
      if (this.#over || !body.serves(this)) {
        this.#over = true;
        throw new Error("the body went to another attempt, or is not kept any longer");
      }
      if (this.#at < body.kept.length) {
        // Within the bounds that were just looked at.
        return { done: false, value: body.kept[this.#at++] as Chunk };
      }
      if (body.forgets()) this.#at = 0;
      if (!(await body.more())) return { done: true, value: undefined };
    }
  }

  return(): Promise<IteratorResult<Chunk, undefined>> {
    this.#body.left(this);
    return Promise.resolve({ done: true, value: undefined });
  }
}

const isArrayBuffer = (value: object): value is ArrayBuffer => value instanceof ArrayBuffer;

const isAsyncIterable = (value: object): value is AsyncIterable<Chunk> => Symbol.asyncIterator in value;
