import type { ClientHttp2Stream } from "node:http2";
import { undici } from "./undici.ts";

/** A body as it is sent. */
export type H2Body =
  | { readonly kind: "none" }
  | { readonly kind: "whole"; readonly bytes: string | Uint8Array; readonly length: number }
  | {
      readonly kind: "stream";
      readonly source: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;
      /** Bytes, where it is known. */
      readonly length?: number;
      /** Its media type, where it knows it itself. */
      readonly type?: string;
    };

const none: H2Body = { kind: "none" };

/** Reads what kind of body a call has. @throws InvalidArgumentError of undici when it is none that can be sent. */
export const h2BodyOf = (body: unknown): H2Body => {
  if (body === null || body === undefined) return none;
  if (typeof body === "string") return { kind: "whole", bytes: body, length: Buffer.byteLength(body) };
  if (body instanceof Uint8Array) return { kind: "whole", bytes: body, length: body.byteLength };
  if (ArrayBuffer.isView(body)) {
    const bytes = new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
    return { kind: "whole", bytes, length: bytes.length };
  }
  if (body instanceof ArrayBuffer) {
    return { kind: "whole", bytes: new Uint8Array(body), length: body.byteLength };
  }
  if (body instanceof Blob) return { kind: "stream", source: body.stream(), length: body.size, type: body.type };
  if (body instanceof undici.FormData) {
    const { body: source, headers } = new undici.Response(body);
    // A form has a body, and says of which type it is.
    return { kind: "stream", source: source ?? [], type: headers.get("content-type") ?? "" };
  }
  if (typeof body === "object" && (Symbol.asyncIterator in body || Symbol.iterator in body)) {
    // What is iterated is checked chunk by chunk when it is written.
    return { kind: "stream", source: body as AsyncIterable<Uint8Array> };
  }
  throw new undici.errors.InvalidArgumentError("body must be a string, bytes, a stream or an iterable");
};

/** Stops reading a body's source. */
export type StopBody = () => void;

/**
 * Writes a body that comes in parts, no faster than the peer takes it. `failed` hears of a source that broke, and of one that
 * is shorter or longer than was said; nothing is told once it was stopped.
 */
export const writeParts = (
  source: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
  stream: ClientHttp2Stream,
  contentLength: number | undefined,
  failed: (error: Error) => void,
): StopBody => {
  const parts = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let stopped = false;
  let wake: (() => void) | undefined;
  const drained = (): void => {
    wake?.();
    wake = undefined;
  };
  stream.on("drain", drained);
  const stop = (): void => {
    if (stopped) return;
    stopped = true;
    stream.off("drain", drained);
    drained();
    // A source that waits for its next part is told all the same; it may refuse, which concerns nobody any more.
    void Promise.resolve()
      .then(() => parts.return?.())
      .catch(() => undefined);
  };
  const write = async (): Promise<void> => {
    let written = 0;
    for (let part = await parts.next(); part.done !== true; part = await parts.next()) {
      if (stopped) return;
      const bytes = typeof part.value === "string" ? Buffer.from(part.value) : part.value;
      written += bytes.byteLength;
      if (contentLength !== undefined && written > contentLength) break;
      if (!stream.write(bytes)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (stopped) return;
      }
    }
    if (stopped) return;
    if (contentLength !== undefined && written !== contentLength) {
      throw new undici.errors.RequestContentLengthMismatchError();
    }
    stopped = true;
    stream.off("drain", drained);
    stream.end();
  };
  write().catch((error: unknown) => {
    if (stopped) return;
    stop();
    failed(error instanceof Error ? error : new Error(String(error), { cause: error }));
  });
  return stop;
};
