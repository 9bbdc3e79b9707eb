import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Credentials, MtlsMode } from "@tulle/policy";
import type { Clock, Watched } from "@tulle/time";
import { type Connection, rememberConnection, strangerConnection } from "../connection.ts";
import type { ServerCounters } from "../counters.ts";
import type { VisitObserver } from "../observe-visit.ts";
import { createTlsSide } from "../secure-context.ts";
import { H2Port } from "./h2-port.ts";
import { keepIdleConnections } from "./idle-time.ts";
import type { OpenSockets } from "./open-sockets.ts";
import type { ProvenPeers } from "./proven-peers.ts";
import { ProtocolSniffer, type SniffLimits } from "./sniff-protocol.ts";
import { StrangerConnections } from "./stranger-connections.ts";

/** What the mesh's port needs of the server. */
export interface MeshPortKit {
  readonly clock: Clock;
  readonly credentials: Watched<Credentials | undefined>;
  readonly observer: VisitObserver;
  readonly counters: ServerCounters;
  readonly peers: ProvenPeers;
  readonly sockets: OpenSockets;
  /** Whether bad certificates are refused, or only noted and their owners served as strangers. */
  readonly enforces: boolean;
  /** What the port accepts at this moment; `undefined` while no policy is known. */
  readonly mtls: () => MtlsMode | undefined;
  /** Calls when that may have changed. Returns the way to stop. */
  readonly onPolicy: (listener: () => void) => () => void;
  /** Whether HTTP/2 is spoken to those who ask for it, at this moment. */
  readonly speaksH2: () => boolean;
  readonly sniff?: SniffLimits;
}

/** Headers must arrive within this time, so that slow strangers hold no sockets. */
const HEADERS_TIMEOUT_MS = 15_000;

/** How often Node.js looks for connections whose headers take too long. Its own default, 30 s, would double the time. */
const HEADERS_CHECK_MS = 5_000;

/** The port on which members call: mTLS, plaintext, or both, as the policy says at each new connection. */
export const createMeshPort = (kit: MeshPortKit): { server: Server; h2: H2Port; close: () => void } => {
  const { observer, counters, peers, sockets } = kit;
  const headersTimeout = kit.sniff?.headersMs ?? HEADERS_TIMEOUT_MS;
  const server = createServer({
    headersTimeout,
    connectionsCheckingInterval: Math.min(headersTimeout, HEADERS_CHECK_MS),
    // Whole uploads may take as long as they like; the caller's deadline ends them.
    requestTimeout: 0,
  });
  keepIdleConnections(server);
  const h2 = new H2Port(kit.clock);
  const tls = createTlsSide(kit.credentials, kit.speaksH2, kit.sniff?.handshakeMs);
  const sniffer = new ProtocolSniffer(
    kit.clock,
    () => {
      counters.silentConnections++;
    },
    kit.sniff,
  );

  const strangers = new StrangerConnections(kit.clock, () => {
    counters.retiredConnections++;
  });
  const unsubscribe = kit.onPolicy(() => {
    if (kit.mtls() === "strict") strangers.retireAll();
  });
  const serveStranger = (socket: Socket, transport: "tls" | "plaintext", inH2: boolean): void => {
    const connection = strangerConnection(socket, transport);
    rememberConnection(socket, connection);
    strangers.add(socket, connection);
    serve(socket, connection, inH2);
  };

  // The server keeps its port, timeouts and idle connections; only what a new connection first meets is ours.
  const serveHttp = server.listeners("connection");
  server.removeAllListeners("connection");
  const serve = (socket: Socket, connection: Connection, inH2: boolean): void => {
    if (inH2) h2.serve(socket, connection);
    else for (const listener of serveHttp) Reflect.apply(listener, server, [socket]);
  };

  server.on("connection", (socket) => {
    sockets.add(socket);
    sniffer.sniff(socket, (protocol) => {
      const mode = kit.mtls();
      if (protocol !== "tls") {
        // While no policy is known the gates refuse everything, and say so.
        if (mode === "strict") {
          observer.connectionRefused("PLAINTEXT_REFUSED");
          socket.destroy();
          return;
        }
        // Where HTTP/2 is not spoken the server of HTTP/1.1 answers its preface with 400.
        serveStranger(socket, "plaintext", protocol === "h2c" && kit.speaksH2());
        return;
      }
      // TLS is answered in every mode, also in `disable`: callers that have not heard of it yet must not fail.
      if (kit.credentials.current === undefined) {
        observer.connectionRefused("NOT_READY");
        socket.destroy();
        return;
      }
      tls.server.emit("connection", socket);
    });
  });

  tls.server.on("secureConnection", (socket: TLSSocket) => {
    const verdict = peers.verify(socket);
    if (!verdict.ok) {
      // A port that takes plaintext serves callers without a certificate as strangers; a bad one is refused by any.
      const mode = kit.mtls();
      const permitted = verdict.code === "PEER_ABSENT" && (mode === "permissive" || mode === "disable");
      if (!permitted) observer.connectionRefused(verdict.code, kit.enforces);
      if (!permitted && kit.enforces) {
        socket.destroy();
        return;
      }
      serveStranger(socket, "tls", socket.alpnProtocol === "h2");
      return;
    }
    const connection = peers.keep(socket, verdict);
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    rememberConnection(socket, connection);
    serve(socket, connection, socket.alpnProtocol === "h2");
  });
  tls.server.on("tlsClientError", (_error, socket) => {
    counters.failedHandshakes++;
    // Node.js only tells that a handshake took too long, or broke off; the socket would stay for ever.
    socket.destroy();
  });

  return {
    server,
    h2,
    close: () => {
      unsubscribe();
      strangers.close();
      tls.close();
      tls.server.removeAllListeners();
    },
  };
};
