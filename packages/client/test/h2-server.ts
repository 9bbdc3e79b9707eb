import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { TestServer } from "./transport-kit.ts";

type Answer = (stream: ServerHttp2Stream, path: string, headers: IncomingHttpHeaders) => void;

/** A server of HTTP/2 on loopback, in plaintext unless it is told how TLS is made, that counts its sessions and streams. */
export class H2Server implements AsyncDisposable {
  readonly sessions: ServerHttp2Session[] = [];
  readonly streams: ServerHttp2Stream[] = [];
  /** The paths that were asked for, in their order. */
  readonly paths: string[] = [];
  readonly #h2: Http2Server;
  readonly #sockets = new Set<Socket>();
  #server: TestServer | undefined;

  constructor(answer: Answer, options: ServerOptions = {}) {
    this.#h2 = createServer(options);
    this.#h2.on("session", (session) => {
      this.sessions.push(session);
      session.on("error", () => undefined);
    });
    this.#h2.on("stream", (stream, headers) => {
      this.streams.push(stream);
      stream.on("error", () => undefined);
      const path = headers[":path"] ?? "";
      this.paths.push(path);
      answer(stream, path, headers);
    });
  }

  static async serving(answer: Answer, options: ServerOptions = {}, tls?: TlsOptions): Promise<H2Server> {
    const h2 = new H2Server(answer, options);
    const listener =
      tls === undefined
        ? h2.#h2
        : createTlsServer({ ALPNProtocols: ["h2"], ...tls }, (socket) => h2.#h2.emit("connection", socket));
    listener.on("connection", (socket: Socket) => {
      h2.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => h2.#sockets.delete(socket));
    });
    h2.#server = await TestServer.on(listener);
    return h2;
  }

  endpoint(...changes: Parameters<TestServer["endpoint"]>): ReturnType<TestServer["endpoint"]> {
    if (this.#server === undefined) throw new Error("the server does not listen");
    return this.#server.endpoint(...changes);
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.#server?.[Symbol.asyncDispose]();
  }
}

/** Answers with a text. */
export const say = (stream: ServerHttp2Stream, text: string): void => {
  stream.respond({ ":status": 200 });
  stream.end(text);
};
