import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "@tulle/time";
import { type AdmissionDesk, admitRequest } from "../admit-request.ts";
import type { Application } from "../application.ts";
import type { Connection } from "../connection.ts";
import { sharedConnection } from "../shared-connection.ts";
import type { ListenerState } from "../visit.ts";
import { whenAdmitted } from "../when-admitted.ts";
import { streamOf } from "./h2-request.ts";

/** Streams that one peer may have open at once on a connection: 100, which RFC 9113 asks every server to allow at least. */
export const MAX_CONCURRENT_STREAMS = 100;

/** How long a session may be silent that serves nothing: 6 min, longer than clients of the mesh keep it. */
const IDLE_MS = 360_000;

/** The same for whoever is no member: 1 min. */
const STRANGERS_IDLE_MS = 60_000;

/** What Node.js may hold for one session, MiB; beyond, it would refuse streams. */
const SESSION_MEMORY_MIB = 64;

/** The side of a mesh port that speaks HTTP/2. It does not listen: connections are handed to it. */
export class H2Port {
  readonly server: Http2Server;
  readonly #clock: Clock;
  readonly #open = new Map<ServerHttp2Session, Connection>();
  #opened: ServerHttp2Session | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.server = createServer({
      maxSessionMemory: SESSION_MEMORY_MIB,
      settings: { maxConcurrentStreams: MAX_CONCURRENT_STREAMS },
    });
    this.server.on("session", (session) => {
      this.#opened = session;
    });
  }

  /** Serves a connection of which is known who is at its other end. */
  serve(socket: Socket, connection: Connection): void {
    this.#opened = undefined;
    // The session is made, and told, within the call.
    this.server.emit("connection", socket);
    const session = this.#opened as ServerHttp2Session | undefined;
    if (session === undefined) {
      socket.destroy();
      return;
    }
    connection.shared = sharedConnection(session, this.#clock);
    this.#open.set(session, connection);
    session.once("close", () => this.#open.delete(session));
    session.setTimeout(connection.trusted ? IDLE_MS : STRANGERS_IDLE_MS);
    session.on("timeout", () => {
      if (connection.visits === 0) connection.shared?.close();
    });
  }

  /** Asks all peers to begin nothing more here. */
  leaveAll(): void {
    for (const { shared } of this.#open.values()) shared?.leave();
  }
}

/** Puts the gates between requests in HTTP/2 and the application, as `serveApplication` does for those in HTTP/1.1. */
export const serveApplicationOverH2 = (
  server: Http2Server,
  application: Application,
  listener: ListenerState,
  desk: AdmissionDesk,
): void => {
  const admit = (
    request: IncomingMessage,
    response: ServerResponse,
    serve: (request: IncomingMessage, response: ServerResponse) => void,
  ): void => {
    whenAdmitted(admitRequest(desk, request, response, listener, application.tellsRoutes), (visit) => {
      desk.runIn(visit, () => serve(request, response));
    });
  };
  // Node.js gives requests and responses of its compatibility API, which are made to be served as those of HTTP/1.1 are; their
  // types are others.
  type Listener = (request: unknown, response: unknown) => void;
  const typed = (listen: (request: IncomingMessage, response: ServerResponse) => void): Listener =>
    listen as unknown as Listener;
  server.on(
    "request",
    typed((request, response) => admit(request, response, application.handle)),
  );
  server.on(
    "checkContinue",
    typed((request, response) =>
      admit(request, response, () => {
        // Only now: a refused caller need not send its body at all.
        response.writeContinue();
        application.handle(request, response);
      }),
    ),
  );
  // There is no bare socket to hand on, so CONNECT ends here, whatever the application would do with it on HTTP/1.1.
  server.on(
    "connect",
    typed((request) => streamOf(request)?.close(constants.NGHTTP2_CONNECT_ERROR)),
  );
};
