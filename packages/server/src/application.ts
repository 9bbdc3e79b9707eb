import { type IncomingMessage, Server, type ServerResponse } from "node:http";
import type { Http2Server } from "node:http2";
import type { Duplex } from "node:stream";

/** A function that answers requests: an Express 5 application, a `node:http` handler. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** What the mesh needs of a Fastify 5 instance. */
export interface FastifyLike {
  ready(): PromiseLike<unknown>;
  /** With its option `http2` requests and responses are of other types, which are served alike. */
  routing(request: never, response: never): void;
  readonly server: Server | Http2Server;
  readonly initialConfig?: { readonly http2?: boolean };
  /** Tells whether the mesh's plugin is registered. */
  hasRequestDecorator?(name: string): boolean;
}

/** What can be served: a handler function, a Fastify instance, or a server whose events are raised for it. */
export type ListenApp = RequestHandler | FastifyLike | Server;

/** The event by which Node tells of a request that wants the bare socket. */
export type SocketEvent = "upgrade" | "connect";

/**
 * Who tells the template of a request's route before its handlers run: an Express application, in which every route can be
 * watched; a framework's adapter, which is mounted in the application; nobody.
 */
export type TellsRoutes = "express" | "adapter" | "nobody";

/** An application, whatever it was made with. */
export interface Application {
  /** Asked at each request of which it matters, for adapters may be mounted later. */
  tellsRoutes(): TellsRoutes;
  /** Resolves when it may be served. */
  ready(): Promise<void>;
  handle: RequestHandler;
  /** Whether it can be handed requests in HTTP/2 too. */
  readonly http2: boolean;
  /** Whether it wants requests of this kind, now. Without, Node treats an upgrade as a request and closes a CONNECT. */
  wants(event: SocketEvent): boolean;
  handleSocket(event: SocketEvent, request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Calls `listener` when it begins to want such requests. Returns the way to stop. */
  onWant(listener: (event: SocketEvent) => void): () => void;
}

/** Reads what kind of application this is. @throws TypeError when it is none that can be served. */
export const applicationOf = (app: ListenApp): Application => {
  if (typeof app === "function") {
    const tells: TellsRoutes = hasRoutes(app) ? "express" : "nobody";
    return {
      ...withoutSockets,
      tellsRoutes: () => tells,
      ready: async () => undefined,
      handle: app,
      http2: !isExpress(app),
    };
  }
  if (app instanceof Server) {
    return {
      ...socketsOf(app),
      tellsRoutes: () => (app.listeners("request").every(hasRoutes) ? "express" : "nobody"),
      ready: async () => undefined,
      // Also for "Expect: 100-continue": the mesh has let the body come by then.
      handle: (request, response) => app.emit("request", request, response),
      http2: !app.listeners("request").some(isExpress),
    };
  }
  if (typeof app?.routing === "function" && typeof app.ready === "function") {
    return {
      ...socketsOf(app.server),
      tellsRoutes: () => (app.hasRequestDecorator?.("mesh") === true ? "adapter" : "nobody"),
      ready: async () => {
        await app.ready();
      },
      // What it is handed is of the kind that it was made for.
      handle: (request, response) => app.routing(request as never, response as never),
      http2: app.initialConfig?.http2 === true,
    };
  }
  throw new TypeError(
    "listen() was given nothing that can be served: pass an Express application, a Fastify instance, a handler function or an http.Server",
  );
};

/** Express replaces the prototypes of requests and responses by those of `node:http`, which HTTP/2's cannot bear. */
const isExpress = (app: unknown): boolean =>
  typeof app === "function" &&
  "handle" in app &&
  typeof app.handle === "function" &&
  "request" in app &&
  "response" in app;

/** An application of Express, or a router of it. */
const hasRoutes = (app: unknown): boolean =>
  typeof app === "function" && "handle" in app && "route" in app && typeof app.route === "function";

const withoutSockets: Pick<Application, "wants" | "handleSocket" | "onWant"> = {
  wants: () => false,
  handleSocket: (_event, _request, socket) => void socket.destroy(),
  onWant: () => () => undefined,
};

const socketsOf = (server: Server | Http2Server): Pick<Application, "wants" | "handleSocket" | "onWant"> => ({
  wants: (event) => server.listenerCount(event) > 0,
  handleSocket: (event, request, socket, head) => {
    if (!server.emit(event, request, socket, head)) socket.destroy();
  },
  onWant: (listener) => {
    const heard = (event: string | symbol): void => {
      if (event === "upgrade" || event === "connect") listener(event);
    };
    server.on("newListener", heard);
    return () => {
      server.off("newListener", heard);
    };
  },
});
