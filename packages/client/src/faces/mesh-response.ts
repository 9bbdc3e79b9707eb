import { Readable } from "node:stream";
import { isMeshError } from "@tulle/policy";
import { callKey, type MeshCall } from "../call.ts";
import type { Flow, Reply, ReplySink } from "../reply.ts";
import { discardWithHolder } from "./abandoned-body.ts";
import { asSeenBy, Collector } from "./collector.ts";
import { codingsOf, decodedBody } from "./decode-body.ts";

const nullBodyStatuses: ReadonlySet<number> = new Set([101, 103, 204, 205, 304]);

/** What a {@link MeshResponse} is made of. */
export interface ResponseParts {
  readonly call: MeshCall;
  readonly reply: Reply;
  readonly url: string;
  readonly redirected: boolean;
}

/** What a body's stream holds ready for its reader before the socket is paused: 64 KiB. */
export const STREAM_BUFFER_BYTES = 65_536;

type BodyStream = ReadableStream<Uint8Array<ArrayBuffer>>;

/**
 * A `Response` that builds its headers and streams only when somebody asks for them: a body that is read whole, as nearly
 * all are, never becomes a stream. `instanceof Response` holds, by {@link linkToResponse}; the built-in class's constructor
 * is not run, for it costs as much as the rest of a call.
 */
export class MeshResponse implements Response {
  readonly #parts: ResponseParts;
  readonly #hasBody: boolean;
  #headers: Headers | undefined = undefined;
  #stream: BodyStream | undefined = undefined;
  #used = false;

  constructor(parts: ResponseParts, stream?: BodyStream) {
    this.#parts = parts;
    this.#stream = stream;
    this.#hasBody = parts.call.method !== "HEAD" && !nullBodyStatuses.has(parts.reply.status);
    if (!this.#hasBody) parts.reply.discard();
    else if (stream === undefined) watchAbandoned(this, parts.reply);
  }

  /** The call behind a response, for explanations. */
  static callOf(response: MeshResponse): MeshCall {
    return response.#parts.call;
  }

  get status(): number {
    return this.#parts.reply.status;
  }

  get statusText(): string {
    return this.#parts.reply.statusText;
  }

  get ok(): boolean {
    const { status } = this.#parts.reply;
    return status >= 200 && status < 300;
  }

  get url(): string {
    return this.#parts.url;
  }

  get redirected(): boolean {
    return this.#parts.redirected;
  }

  get type(): Response["type"] {
    return "basic";
  }

  get headers(): Headers {
    this.#headers ??= headersOf(this.#parts.reply.rawHeaders);
    return this.#headers;
  }

  get body(): BodyStream | null {
    if (!this.#hasBody) return null;
    this.#stream ??= this.#openStream();
    return this.#stream;
  }

  get bodyUsed(): boolean {
    return this.#used || (this.#stream !== undefined && Readable.isDisturbed(this.#stream as unknown as Readable));
  }

  async text(): Promise<string> {
    const body = await this.#whole();
    // The decoder of the standard leaves a byte order mark out.
    return hasByteOrderMark(body) ? body.toString("utf8", 3) : body.toString("utf8");
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    // A copy: what arrives may share its memory with other messages of the connection.
    return new Uint8Array(await this.#whole());
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.bytes()).buffer;
  }

  async blob(): Promise<Blob> {
    return new Blob([await this.bytes()], { type: this.headers.get("content-type") ?? "" });
  }

  async formData(): Promise<FormData> {
    const contentType = this.headers.get("content-type");
    const headers: [string, string][] = contentType === null ? [] : [["content-type", contentType]];
    return new Response(await this.bytes(), { headers }).formData();
  }

  clone(): MeshResponse {
    if (this.bodyUsed) throw new TypeError("Response.clone: Body has already been consumed.");
    const stream = this.body;
    if (stream === null) return new MeshResponse({ ...this.#parts, reply: new SpentReply(this.#parts.reply) });
    const [mine, other] = stream.tee() as [BodyStream, BodyStream];
    this.#stream = mine;
    return new MeshResponse(this.#parts, other);
  }

  /** The whole body, decoded. */
  #whole(): Promise<Buffer> {
    if (this.bodyUsed) return Promise.reject(new TypeError("Body is unusable: Body has already been read"));
    if (!this.#hasBody) return Promise.resolve(nothing);
    this.#used = true;
    const { reply, call } = this.#parts;
    const codings = codingsOf(reply.headers["content-encoding"]);
    if (this.#stream === undefined && codings === undefined) {
      return new Promise((resolve, reject) => {
        reply.take(new Collector(call, resolve, reject));
      });
    }
    const whole =
      this.#stream === undefined
        ? gather(decodedBody(reply, codings ?? []))
        : new Response(this.#stream).arrayBuffer().then((bytes) => Buffer.from(bytes));
    return codings === undefined ? whole : whole.catch((error: unknown) => Promise.reject(asDecoded(call, error)));
  }

  #openStream(): BodyStream {
    const { reply, call } = this.#parts;
    if (this.#used) {
      // It was read whole: what is left is a stream that is closed and counts as read.
      return new ReadableStream({ start: (controller) => controller.close() });
    }
    const codings = codingsOf(reply.headers["content-encoding"]);
    if (codings !== undefined) return Readable.toWeb(decodedBody(reply, codings)) as BodyStream;
    const source = new StreamSource(reply, call);
    return new ReadableStream(source, { highWaterMark: STREAM_BUFFER_BYTES }) as BodyStream;
  }
}

Object.defineProperty(MeshResponse.prototype, callKey, {
  get(this: MeshResponse) {
    return MeshResponse.callOf(this);
  },
});

/** Makes `instanceof Response` true of our responses. Done at the first fetch, for it loads the built-in classes. */
export const linkToResponse = (): void => {
  if (Object.getPrototypeOf(MeshResponse.prototype) !== Response.prototype) {
    Object.setPrototypeOf(MeshResponse.prototype, Response.prototype);
  }
};

/** Only bodies that are still coming hold a connection; most are whole before anybody could ask. */
const watchAbandoned = (response: MeshResponse, reply: Reply): void => {
  let over = false;
  reply.onDone(() => {
    over = true;
  });
  if (!over) discardWithHolder(response, reply);
};

const nothing = Buffer.alloc(0);

/** Decoders speak of their own faults; fetch says that the body ended. */
const asDecoded = (call: MeshCall, error: unknown): unknown =>
  asSeenBy(call, isMeshError(error) ? error : new TypeError("terminated", { cause: error }));

const hasByteOrderMark = (body: Buffer): boolean => body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;

/** A flat raw list as the standard's class shows it. */
export const headersOf = (raw: readonly (string | Buffer)[]): Headers => {
  const headers = new Headers();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]?.toString("latin1") ?? "";
    const value = raw[at + 1]?.toString("latin1") ?? "";
    try {
      headers.append(name, value);
    } catch {
      // The parser is more lenient than the standard's class; what that refuses is not shown, as in the built-in fetch.
    }
  }
  return headers;
};

const gather = async (stream: Readable): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

/** Feeds a byte stream from a reply, no faster than it is read. */
class StreamSource implements ReplySink {
  readonly type = "bytes";
  readonly #reply: Reply;
  readonly #call: MeshCall;
  #controller: ReadableByteStreamController | undefined = undefined;
  #flow: Flow | undefined = undefined;
  #over = false;

  constructor(reply: Reply, call: MeshCall) {
    this.#reply = reply;
    this.#call = call;
  }

  start(controller: ReadableByteStreamController): void {
    this.#controller = controller;
  }

  pull(): void {
    if (this.#flow === undefined) this.#flow = this.#reply.take(this);
    else this.#flow.resume();
  }

  cancel(reason: unknown): void {
    this.#over = true;
    const flow = this.#flow;
    if (flow === undefined) this.#reply.discard();
    else flow.abort(reason instanceof Error ? reason : new DOMException("The body was cancelled.", "AbortError"));
  }

  data(chunk: Buffer): boolean {
    if (this.#over || chunk.length === 0) return true;
    // A copy: a byte stream takes the memory that it is given, and this one is shared with other messages.
    this.#controller?.enqueue(new Uint8Array(chunk));
    return (this.#controller?.desiredSize ?? 0) > 0;
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller?.close();
    // A reader with a buffer of its own that waits for bytes learns of the end by an empty answer.
    this.#controller?.byobRequest?.respond(0);
  }

  error(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller?.error(asSeenBy(this.#call, error));
  }
}

/** The reply of a clone whose body is nobody's: it was discarded by the original. */
class SpentReply implements Reply {
  readonly status: number;
  readonly statusText: string;
  readonly rawHeaders: readonly (string | Buffer)[];
  readonly headers: Reply["headers"];

  constructor({ status, statusText, rawHeaders, headers }: Reply) {
    this.status = status;
    this.statusText = statusText;
    this.rawHeaders = rawHeaders;
    this.headers = headers;
  }

  take(): Flow {
    throw new Error("the body of this reply was taken or discarded before");
  }

  discard(): void {}

  onDone(listener: (error: Error | undefined) => void): void {
    listener(undefined);
  }
}
