import { STATUS_CODES } from "node:http";
import { Duplex } from "node:stream";
import type { Flow, Reply } from "../reply.ts";

/** Said by the stream below: they belong to the connection on which they came. */
const hopByHop: ReadonlySet<string> = new Set(["connection", "keep-alive", "transfer-encoding"]);

/**
 * A connection on which one reply comes, whatever is sent: how a request of `node:http` gets an answer that the mesh made
 * itself. The reply ends with the connection.
 */
export class ReplySocket extends Duplex {
  readonly #reply: Reply;
  #flow: Flow | undefined;

  constructor(reply: Reply) {
    super();
    this.#reply = reply;
  }

  override _read(): void {
    if (this.#flow !== undefined) {
      this.#flow.resume();
      return;
    }
    this.push(headOf(this.#reply), "latin1");
    this.#flow = this.#reply.take({
      data: (chunk) => this.push(chunk),
      end: () => void this.push(null),
      error: (error) => void this.destroy(error),
    });
  }

  override _write(_chunk: unknown, _encoding: BufferEncoding, done: () => void): void {
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#flow?.abort(error ?? new Error("the request was destroyed"));
    done(error);
  }

  // What a request asks of its socket.

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

const headOf = ({ status, statusText, rawHeaders }: Reply): string => {
  let head = `HTTP/1.1 ${status} ${statusText === "" ? (STATUS_CODES[status] ?? "") : statusText}\r\n`;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = String(rawHeaders[at]);
    if (!hopByHop.has(name.toLowerCase())) head += `${name}: ${String(rawHeaders[at + 1])}\r\n`;
  }
  return `${head}connection: close\r\n\r\n`;
};
