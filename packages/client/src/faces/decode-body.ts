import { pipeline, Readable, type Transform } from "node:stream";
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
  // Servers disagree on whether "deflate" has the zlib header; unzip of both is what createInflate cannot do alone.
  deflate: () => zlib.createInflate(lenient),
  br: () =>
    zlib.createBrotliDecompress({
      flush: zlib.constants.BROTLI_OPERATION_FLUSH,
      finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH,
    }),
  zstd: () => zlib.createZstdDecompress(),
};

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
