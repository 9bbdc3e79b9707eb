import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { keepIdleConnections } from "./idle-time.ts";
import type { OpenSockets } from "./open-sockets.ts";

/** A listener for callers from outside the mesh: nobody is asked for an identity, all are strangers. */
export interface PublicListenOptions {
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number;
  /** @default that of the mesh's port */
  readonly host?: string;
  /** Its own certificate, PEM. @default none: plaintext */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** Makes the server of a public listener, with Node's own limits for slow callers. */
export const createPublicPort = ({ tls }: PublicListenOptions, sockets: OpenSockets): Server => {
  const server = tls === undefined ? createServer() : createTlsServer({ ...tls, minVersion: "TLSv1.2" });
  keepIdleConnections(server);
  server.on("connection", (socket) => sockets.add(socket));
  return server;
};
