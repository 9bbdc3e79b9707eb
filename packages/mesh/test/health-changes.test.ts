import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { createMesh } from "../src/create-mesh.ts";

/** A server whose health is a variable. */
const serve = async () => {
  const state = { healthy: true };
  const server = createServer((request, response) => {
    response.statusCode = request.url === "/healthz" && !state.healthy ? 500 : 200;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A server that listens on a port has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  const running: AsyncDisposable = {
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return { state, port, running };
};

test("an endpoint that turns unhealthy is a warning in the log, and one that is well again is told too", async () => {
  const { state, port, running } = await serve();
  await using _ = running;
  const told: string[] = [];
  await using mesh = createMesh({
    policies: [
      {
        kind: "Service",
        name: "reviews",
        healthCheck: { http: { path: "/healthz" }, interval: "100ms", noTrafficInterval: "100ms" },
      },
    ],
    endpoints: { reviews: [`127.0.0.1:${port}`] },
    logger: {
      info: (text) => told.push(`info: ${text}`),
      warn: (text) => told.push(`warn: ${text}`),
      error: (text) => told.push(`error: ${text}`),
    },
  });
  const aboutHealth = () => told.filter((text) => text.includes("health checks"));
  await (await mesh.fetch("http://reviews/")).text();
  await expect.poll(() => mesh.status.counters.client.healthChanges).toBe(1);
  expect(aboutHealth()).toEqual([]);
  state.healthy = false;
  const endpoint = `endpoint 127.0.0.1:${port} of default/reviews`;
  await expect.poll(aboutHealth).toEqual([`warn: ${endpoint} is unhealthy by its health checks (it was healthy)`]);
  state.healthy = true;
  await expect
    .poll(() => aboutHealth().at(-1))
    .toBe(`info: ${endpoint} is healthy by its health checks (it was unhealthy)`);
});
