import { createHash, type Hash } from "node:crypto";
import {
  createServer as createPlaintextServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { constants, createServer as createH2Server, type Http2ServerResponse } from "node:http2";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { pipeline } from "node:stream";
import { createServer as createBareTlsServer, type TLSSocket, type TlsOptions } from "node:tls";
import { gzipSync } from "node:zlib";
import { serveUpgrade } from "./upgrade-server.ts";

/** What the server saw, for tests that must know it. */
export interface Seen {
  readonly arrivals: number;
  /** Requests whose connection was closed before they were answered. */
  readonly broken: number;
  /** Bytes of `/flood` that the connection has taken. */
  readonly flooded: number;
  /** Connections, over the server's life. */
  readonly connections: number;
}

/** The service that every face calls in the contract. */
export interface FaceServer extends AsyncDisposable {
  readonly port: number;
  readonly seen: Seen;
  /** Lets `/unread` read what it has left in the connection until now. */
  read(): void;
  readonly server: TcpServer;
}

export const BLOCK = Buffer.alloc(65_536, "0123456789abcdef");

/** Digest of so many bytes of {@link BLOCK}, repeated. */
export const digestOfBlocks = (blocks: number): string => {
  const hash = createHash("sha256");
  for (let each = 0; each < blocks; each++) hash.update(BLOCK);
  return hash.digest("hex");
};

/**
 * Starts the server, with TLS when it is told how.
 *
 * @param speaksH2 whether it speaks HTTP/2 beside HTTP/1.1, as members do
 */
export const serveFaces = async (tls?: TlsOptions, speaksH2 = false): Promise<FaceServer> => {
  const seen = { arrivals: 0, broken: 0, flooded: 0, connections: 0 };
  const unread = new Set<() => void>();
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    seen.arrivals++;
    response.once("close", () => {
      if (!isWhole(response)) seen.broken++;
    });
    request.on("error", () => undefined);
    const path = new URL(request.url ?? "/", "http://face").pathname;
    const route = routes[path];
    if (path === "/unread") unread.add(() => answerWithDigest(request, response));
    else if (path === "/flood") flood(response, seen);
    else if (route === undefined) response.writeHead(404).end(`no ${path}`);
    else route(request, response);
  };
  const http1 = tls === undefined || speaksH2 ? createPlaintextServer(handle) : createTlsServer(tls, handle);
  http1.on("upgrade", serveUpgrade);
  http1.on("checkContinue", (request, response) => {
    response.writeContinue();
    handle(request, response);
  });
  const server = speaksH2 ? withH2(http1, handle, tls) : http1;
  server.on(tls === undefined ? "connection" : "secureConnection", () => {
    seen.connections++;
  });
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    server,
    read: () => {
      for (const each of unread) each();
      unread.clear();
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        http1.closeAllConnections();
        for (const socket of open) socket.destroy();
      }),
  };
};

/** Whether an answer was sent to its end. The compatibility API of HTTP/2 has no `writableFinished`. */
const isWhole = (response: ServerResponse): boolean => {
  const { stream } = response as unknown as Partial<Http2ServerResponse>;
  return stream === undefined ? response.writableFinished : stream.rstCode === constants.NGHTTP2_NO_ERROR;
};

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

/** One port for both: TLS agrees on the protocol, and in plaintext HTTP/2 begins with its preface. */
const withH2 = (http1: Server, handle: Handle, tls: TlsOptions | undefined): TcpServer => {
  const h2 = createH2Server();
  // The compatibility API is meant to be handled as HTTP/1.1's.
  h2.on("request", handle as never);
  if (tls !== undefined) {
    return createBareTlsServer({ ...tls, ALPNProtocols: ["h2", "http/1.1"] }, (socket: TLSSocket) => {
      (socket.alpnProtocol === "h2" ? h2 : http1).emit("connection", socket);
    });
  }
  return createTcpServer((socket: Socket) => {
    socket.once("readable", () => {
      const first = socket.read() as Buffer | null;
      if (first === null) return;
      socket.unshift(first);
      (first.toString("latin1").startsWith("PRI ") ? h2 : http1).emit("connection", socket);
    });
  });
};

/** Blocks of `/flood`: 40 MiB, far more than any connection holds. */
export const FLOOD_BLOCKS = 640;

const flood = (response: ServerResponse, seen: { flooded: number }): void => {
  let left = FLOOD_BLOCKS;
  const more = (): void => {
    while (left > 0 && !response.destroyed) {
      left--;
      const goesOn = response.write(BLOCK, () => {
        seen.flooded += BLOCK.length;
      });
      if (!goesOn) {
        response.once("drain", more);
        return;
      }
    }
    response.end();
  };
  more();
};

const hashed = (request: IncomingMessage): Hash => {
  const hash = createHash("sha256");
  request.on("data", (chunk: Buffer) => hash.update(chunk));
  return hash;
};

const answerWithDigest = (request: IncomingMessage, response: ServerResponse): void => {
  const hash = hashed(request);
  request.on("end", () => response.end(hash.digest("hex")));
};

const routes: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>> = {
  "/hello": (_request, response) => response.end("hello"),
  "/echo": (request, response) => {
    response.writeHead(200, { "content-type": request.headers["content-type"] ?? "application/octet-stream" });
    response.flushHeaders();
    pipeline(request, response, () => undefined);
  },
  "/digest": answerWithDigest,
  "/raw": (request, response) => response.end(JSON.stringify(request.rawHeaders)),
  "/headers": (request, response) => {
    if (request.httpVersionMajor === 2) {
      response.writeHead(200, { "x-mixed-case": "kept", "set-cookie": ["a=1", "b=2"], "x-twice": ["1", "2"] }).end();
      return;
    }
    response.writeHead(200, [
      "X-Mixed-Case",
      "kept",
      "Set-Cookie",
      "a=1",
      "Set-Cookie",
      "b=2",
      "X-Twice",
      "1",
      "X-Twice",
      "2",
    ]);
    response.end();
  },
  "/never": () => undefined,
  "/begun": (_request, response) => {
    response.writeHead(200);
    response.write("begun");
  },
  "/trailers": (_request, response) => {
    response.writeHead(200, { trailer: "x-sum" });
    response.write("body");
    response.addTrailers({ "x-sum": "4" });
    response.end();
  },
  "/hints": (request, response) => {
    if (request.httpVersionMajor === 2) {
      (response as unknown as Http2ServerResponse).writeEarlyHints({ link: "</style.css>; rel=preload" });
      response.end("hinted");
      return;
    }
    response.writeEarlyHints({ link: "</style.css>; rel=preload" }, () => response.end("hinted"));
  },
  "/sized": (_request, response) => response.writeHead(200, { "content-length": "5" }).end("sized"),
  "/no-content": (_request, response) => response.writeHead(204).end(),
  "/not-modified": (_request, response) => response.writeHead(304, { etag: '"1"' }).end(),
  "/moved": (_request, response) => response.writeHead(302, { location: "/hello" }).end("moved"),
  "/gzip": (_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("unpacked")),
  "/form": (request, response) => {
    // The platform's own parser says what arrived.
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const type = request.headers["content-type"] ?? "";
      new Response(Buffer.concat(chunks), { headers: { "content-type": type } })
        .formData()
        .then((form) => JSON.stringify([...form.keys()].map((name) => [name, typeof form.get(name)])))
        .then(
          (told) => response.end(told),
          (error: unknown) => response.writeHead(400).end(String(error)),
        );
    });
  },
};
