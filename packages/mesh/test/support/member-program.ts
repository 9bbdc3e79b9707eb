/**
 * An instance of a service in a process of its own, so that a test can end it in every way. It answers with who it is and what
 * it received. Its identity comes from the TULLE_* variables, its MEMBER_* variables from the test.
 */
import { createServer } from "node:http";
import Module from "node:module";
import { joinMesh } from "tulle";

// A member on whose machine an optional package is not installed.
// Node's types do not know the function, which is the one place that `require` and `require.resolve` share on every version.
const loader = Module as unknown as { _resolveFilename: (request: string, ...rest: unknown[]) => string };
const resolveFilename = loader._resolveFilename;
loader._resolveFilename = (request, ...rest) => {
  if (request === process.env.MEMBER_LACKS) throw new Error(`${request} is not installed here`);
  return resolveFilename(request, ...rest);
};

const version = process.env.MEMBER_VERSION ?? "v1";
const mesh = await joinMesh({
  labels: { version },
  readyTimeout: process.env.MEMBER_READY_TIMEOUT ?? "10s",
  logger: {
    info: () => undefined,
    warn: (message) => process.send?.({ warn: message }),
    error: (message) => process.send?.({ error: message }),
  },
});
const app = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const delayMs = Number(new URL(request.url ?? "/", "http://member").searchParams.get("delay") ?? 0);
    setTimeout(() => {
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify({
          service: process.env.TULLE_SERVICE,
          version,
          pid: process.pid,
          method: request.method,
          received: Buffer.concat(chunks).toString(),
          headers: request.headers,
        }),
      );
    }, delayMs);
  });
});
const listener = await mesh.listen(app, { port: Number(process.env.MEMBER_PORT ?? 0), host: "127.0.0.1" });
process.send?.({ port: listener.port, status: mesh.status });
process.on("disconnect", () => process.exit(0));
process.on("message", (message: { readonly ask: string; readonly url?: string }) => {
  if (message.ask === "status") process.send?.({ status: mesh.status });
  if (message.ask === "fetch" && message.url !== undefined) {
    mesh.fetch(message.url).then(
      async (response) => process.send?.({ fetched: { status: response.status, body: await response.text() } }),
      (error: unknown) => process.send?.({ fetched: { error: String(error) } }),
    );
  }
});
