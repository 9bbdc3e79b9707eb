import { createServer, type Server } from "node:http";

/** What a health port tells. */
export interface Health {
  /** Why the service is not ready, or `undefined` when it is. */
  readonly notReady: () => string | undefined;
}

/** `GET /healthz` (the process answers) and `GET /readyz` (it may be called). Never behind mTLS: whoever probes is no member. */
export const createHealthPort = ({ notReady }: Health): Server =>
  createServer((request, response) => {
    const [path] = (request.url ?? "").split("?", 1);
    const known = path === "/healthz" || path === "/readyz";
    const reason = path === "/readyz" ? notReady() : undefined;
    const allowed = request.method === "GET" || request.method === "HEAD";
    const status = !known ? 404 : !allowed ? 405 : reason === undefined ? 200 : 503;
    const body = JSON.stringify(
      status === 200
        ? { status: path === "/healthz" ? "alive" : "ready" }
        : { status: "not ready", reason: reason ?? "unknown path or method" },
    );
    response.writeHead(status, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      "cache-control": "no-store",
      connection: "close",
    });
    response.end(request.method === "HEAD" ? undefined : body);
  });
