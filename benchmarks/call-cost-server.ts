// The callee of call-cost.ts and h2-cost.ts, a process of its own: the same small JSON over plaintext, over mTLS, and over mTLS in
// HTTP/2 beside HTTP/1.1.
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createSecureServer } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import type { Credentials } from "@tulle/policy";

/** Sent to the caller once both ports are open. */
export interface CalleePorts {
  readonly plaintext: number;
  readonly mtls: number;
  readonly http2: number;
}

const body = JSON.stringify({
  id: 7,
  reviews: Array.from({ length: 6 }, (_, index) => ({ reviewer: `reader-${index}`, text: "x".repeat(60) })),
});
const answer: RequestListener = (_request, response) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body);
};

process.once("message", async (credentials: Credentials) => {
  const plaintext = createHttpServer(answer);
  const tls = {
    cert: credentials.certificateChain,
    key: credentials.privateKey,
    ca: credentials.bundles.flatMap(({ roots }) => [...roots]),
    requestCert: true,
    rejectUnauthorized: true,
  };
  const mtls = createHttpsServer(tls, answer);
  // Requests of the compatibility API are handled as HTTP/1.1's; their types are others.
  const http2 = createSecureServer({ ...tls, allowHTTP1: true }, answer as never);
  const ports: CalleePorts = { plaintext: await open(plaintext), mtls: await open(mtls), http2: await open(http2) };
  process.send?.(ports);
});
process.once("disconnect", () => process.exit(0));

const open = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    // A server that listens on a port has an AddressInfo.
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
