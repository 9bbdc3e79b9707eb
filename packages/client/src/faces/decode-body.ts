import { pipeline, Readable, Transform, type TransformCallback } from "node:stream";
import zlib from "node:zlib";
import type { Flow, Reply, ReplySink } from "../reply.ts";

/** More codings than this around one body are an attack, not a reply (undici, curl). */
export const MAX_CODINGS = 5;

/**
 * The codings of a body, outermost first, or `undefined` when it is not coded or by one that nobody here knows: then it is
 * handed on as it is, as fetch does.
 */
export const codingsOf = (header: string | string[] | undefined): readonly string[] | undefined => {
  if (header === undefined || header === "") return undefined;
  const codings = String(header)
    .toLowerCase()
    .split(",")
    .map((coding) => coding.trim())
    .reverse();
  if (codings.length > MAX_CODINGS)
    throw new TypeError(`the reply has ${codings.length} content codings, more than ${MAX_CODINGS}`);
  return codings.every((coding) => coding in decoders) ? codings : undefined;
};

/** Lenient at the end of a body, as curl and the built-in fetch are. */
const lenient: zlib.ZlibOptions = { flush: zlib.constants.Z_SYNC_FLUSH, finishFlush: zlib.constants.Z_SYNC_FLUSH };

const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: () => zlib.createGunzip(lenient),
  "x-gzip": () => zlib.createGunzip(lenient),
  deflate: () => new EitherInflate(),
  br: () =>
    zlib.createBrotliDecompress({
      flush: zlib.constants.BROTLI_OPERATION_FLUSH,
      finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH,
    }),
  zstd: () => zlib.createZstdDecompress(),
};

/** Servers disagree on whether "deflate" has the zlib header: the first byte tells. */
class EitherInflate extends Transform {
  #inflate: zlib.Inflate | zlib.InflateRaw | undefined;

  override _transform(chunk: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    const [first] = chunk;
    if (first === undefined) {
      done();
      return;
    }
    this.#inflate ??= this.#begin((first & 0x0f) === ZLIB_METHOD);
    this.#inflate.write(chunk, encoding, done);
  }

  override _final(done: TransformCallback): void {
    // The end of the inner stream ends this one, after its last bytes.
    if (this.#inflate === undefined) this.push(null);
    else this.#inflate.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inflate?.destroy();
    done(error);
  }

  #begin(withHeader: boolean): zlib.Inflate | zlib.InflateRaw {
    const inflate = withHeader ? zlib.createInflate(lenient) : zlib.createInflateRaw(lenient);
    inflate.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) inflate.pause();
    });
    inflate.on("end", () => this.push(null));
    inflate.on("error", (error) => this.destroy(error));
    return inflate;
  }

  override _read(size: number): void {
    this.#inflate?.resume();
    super._read(size);
  }
}

/** In the low half of the first byte of a zlib header. */
const ZLIB_METHOD = 8;

/** A coded body, decoded, as a Node.js stream with backpressure down to the socket. */
export const decodedBody = (reply: Reply, codings: readonly string[]): Readable => {
  const source = new ReplyStream(reply);
  const steps = codings.map((coding) => decoders[coding]?.()).filter((step) => step !== undefined);
  const last = steps.at(-1);
  if (last === undefined) return source;
  // The last step carries the error to whoever reads it.
  pipeline([source, ...steps], () => undefined);
  return last;
};

/** A reply's body as a Node.js stream. */
class ReplyStream extends Readable implements ReplySink {
  readonly #reply: Reply;
  #flow: Flow | undefined;

  constructor(reply: Reply) {
    super();
    this.#reply = reply;
  }

  override _read(): void {
    if (this.#flow === undefined) this.#flow = this.#reply.take(this);
    else this.#flow.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#flow?.abort(error ?? new Error("the body was given up"));
    done(error);
  }

  data(chunk: Buffer): boolean {
    return this.push(chunk);
  }

  end(): void {
    this.push(null);
  }

  error(error: Error): void {
    this.destroy(error);
  }
}
