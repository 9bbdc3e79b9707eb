import type { Dispatcher } from "undici";

/** Bodies up to this many bytes are kept for another attempt (Linkerd's replay buffer): 64 KiB. */
export const REPLAY_BOUND_BYTES = 65_536;

type Body = Dispatcher.DispatchOptions["body"];

/** A body made ready for attempts. */
export interface PreparedBody {
  readonly body: Body;
  /** Whether it can be sent again after it was sent. */
  readonly replayable: boolean;
}

const none: PreparedBody = { body: null, replayable: true };

/**
 * Prepares a body: absent ones, blobs, and strings and bytes up to the bound can be sent again; larger ones are sent once. What can be
 * read only once is wrapped, so that it stays untouched until an attempt really reads it: undici destroys a stream that it
 * was handed even if the connection for it was never made.
 */
export const prepareBody = (body: Body | undefined): PreparedBody => {
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
  if (isAsyncIterable(body)) return { body: new OnceBody(body) as unknown as Body, replayable: false };
  return { body, replayable: false };
};

/** Whether an attempt began to read a body that can be read only once. */
export const wasTouched = (body: Body): boolean =>
  (body as unknown) instanceof OnceBody && (body as unknown as OnceBody).touched;

/** A body that is kept elsewhere, in memory or in a file, never changes, and is read anew by each attempt. */
export class BlobBody implements AsyncIterable<Uint8Array> {
  readonly #blob: Blob;

  constructor(blob: Blob) {
    this.#blob = blob;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this.#blob.stream()[Symbol.asyncIterator]();
  }
}

/** A body that can be read once, and knows whether somebody began. */
export class OnceBody implements AsyncIterable<Uint8Array> {
  touched = false;
  readonly #source: AsyncIterable<Uint8Array>;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    this.touched = true;
    return this.#source[Symbol.asyncIterator]();
  }

  /** Gives up the source of a call that failed before anything was read, as undici does with streams. */
  discard(reason: Error): void {
    if (this.touched) return;
    this.touched = true;
    const source: { destroy?: unknown; cancel?: unknown; on?: unknown } = this.#source as object;
    if (typeof source.destroy === "function") {
      if (typeof source.on === "function") source.on.call(this.#source, "error", () => undefined);
      source.destroy.call(this.#source, reason);
    } else if (typeof source.cancel === "function") {
      Promise.resolve(source.cancel.call(this.#source, reason)).catch(() => undefined);
    }
  }
}

/** Gives up a body whose call is over; without effect for bodies in memory. */
export const discardBody = (body: Body, reason: Error): void => {
  if ((body as unknown) instanceof OnceBody) (body as unknown as OnceBody).discard(reason);
};

const isArrayBuffer = (value: object): value is ArrayBuffer => value instanceof ArrayBuffer;

const isAsyncIterable = (value: object): value is AsyncIterable<Uint8Array> => Symbol.asyncIterator in value;
