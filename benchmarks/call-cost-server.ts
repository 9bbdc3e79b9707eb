// The callee of call-cost.ts, a process of its own: the same small JSON over plaintext and over mTLS.
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import type { Credentials } from "@tulle/policy";

/** Sent to the caller once both ports are open. */
export interface CalleePorts {
  readonly plaintext: number;
  readonly mtls: number;
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
  const mtls = createHttpsServer(
    {
      cert: credentials.certificateChain,
      key: credentials.privateKey,
      ca: credentials.bundles.flatMap(({ roots }) => roots),
      requestCert: true,
      rejectUnauthorized: true,
    },
    answer,
  );
  const ports: CalleePorts = { plaintext: await open(plaintext), mtls: await open(mtls) };
  process.send?.(ports);
});
process.once("disconnect", () => process.exit(0));

const open = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    // A server that listens on a port has an AddressInfo.
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
