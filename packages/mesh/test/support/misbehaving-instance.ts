import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import type { Credentials } from "@tulle/policy";

/** What an instance does with a request that it has read. */
export type Behaviour = (socket: TLSSocket) => void;

const body = JSON.stringify({ version: "v9", pid: 0 });

/** Behaviours, by what is wrong with them. */
export const behaviours = {
  "answers well": (socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`),
  "half-closes without an answer and goes on reading": (socket) => socket.end(),
  "closes without an answer": (socket) => socket.destroy(),
  "answers garbage": (socket) => socket.write("SSH-2.0-OpenSSH_9.9\r\n\r\n"),
  "cuts its answer within the headers": (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-le"),
  "cuts a body of known length": (socket) => socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n${body}`),
  "cuts a chunked body": (socket) =>
    socket.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`),
} as const satisfies Record<string, Behaviour>;

/** An instance over mTLS that answers on raw sockets, as badly as a test wants. */
export class MisbehavingInstance implements AsyncDisposable {
  behaviour: Behaviour;
  /** Requests that it read. */
  asked = 0;
  readonly #server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor(credentials: Credentials, behaviour: Behaviour) {
    this.behaviour = behaviour;
    this.#server = createServer({
      key: credentials.privateKey,
      cert: credentials.certificateChain,
      ca: credentials.bundles.flatMap(({ roots }) => [...roots]),
      requestCert: true,
      allowHalfOpen: true,
    });
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket)).on("error", () => undefined);
    });
    this.#server.on("secureConnection", (socket) => {
      socket.on("error", () => undefined).on("end", () => socket.end());
      socket.on("data", (chunk: Buffer) => {
        if (!/ HTTP\/1\.1\r\n/.test(chunk.toString("latin1"))) return;
        this.asked++;
        this.behaviour(socket);
      });
    });
    this.#server.on("tlsClientError", () => undefined);
  }

  static async start(
    credentials: Credentials,
    behaviour: Behaviour = behaviours["answers well"],
  ): Promise<MisbehavingInstance> {
    const instance = new MisbehavingInstance(credentials, behaviour);
    await instance.comeBack();
    return instance;
  }

  get port(): number {
    return this.#port;
  }

  /** Listens at the same port as before. */
  async comeBack(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Takes no connection any more and resets those that are open. */
  async goAway(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.goAway();
  }
}
