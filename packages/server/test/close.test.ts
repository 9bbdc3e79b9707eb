import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { meshHandler } from "@tulle/server/node-http";
import { type createTestAuthority, FakeClock } from "@tulle/testing";
import { constant, type Watched } from "@tulle/time";
import { expect, onTestFinished, test, vi } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

/** A value that counts who listens to it. */
const counted = <T>(current: T): Watched<T> & { listeners: number } => ({
  current,
  listeners: 0,
  subscribe() {
    this.listeners++;
    return () => {
      this.listeners--;
    };
  },
});

test("a closed server leaves no socket, no timer and no listener on what it was given", async () => {
  const clock = new FakeClock();
  const policy = counted<ReturnType<typeof inbound> | undefined>(inbound("permissive"));
  const credentials = counted<
    Awaited<ReturnType<Awaited<ReturnType<typeof createTestAuthority>>["issue"]>> | undefined
  >(undefined);
  const app = createServer((_request, response) => response.end("ok"));
  const before = app.listenerCount("newListener");
  const server = testServer({ clock, inbound: policy, credentials });
  const listener = await server.listen(app, { port: 0, host: "127.0.0.1", public: [{ port: 0 }], health: { port: 0 } });
  expect(policy.listeners + credentials.listeners).toBeGreaterThan(0);
  const sockets = [listener.port, ...listener.publicPorts].map((port) => connect(port, "127.0.0.1"));
  for (const socket of sockets) socket.on("error", () => undefined);
  await vi.waitFor(() => expect(listener.connections()).toBe(2));
  expect(clock.pendingTimers).toBe(1);

  await server.close();
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, "close")));
  expect(listener.connections()).toBe(0);
  expect(server.counters()).toMatchObject({ connections: 0 });
  expect(clock.pendingTimers).toBe(0);
  expect(policy.listeners).toBe(0);
  expect(credentials.listeners).toBe(0);
  expect(app.listenerCount("newListener")).toBe(before);
});

test("a port that is taken leaves none of the others open", async () => {
  const taken = createServer();
  await once(taken.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void taken.close());
  const credentials = counted(undefined);
  const server = testServer({ credentials });
  const { port } = taken.address() as AddressInfo;
  const before = credentials.listeners;
  await expect(
    server.listen((_request, response) => response.end(), { port, host: "127.0.0.1", health: { port: 0 } }),
  ).rejects.toMatchObject({ code: "EADDRINUSE" });
  expect(credentials.listeners).toBe(before);
});

test("after the end a listener of the service's own gets nothing in", async () => {
  const server = testServer({ inbound: constant(inbound("disable")) });
  const own = createServer(meshHandler(server, (_request, response) => response.end("ok")));
  await once(own.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void own.close());
  const { port } = own.address() as AddressInfo;
  expect((await call(port)).status).toBe(200);
  await server.close();
  expect(await call(port)).toMatchObject({ status: 503 });
  expect(server.counters()["refused.DRAINING"]).toBe(1);
});

test("what cannot be served is refused by name", async () => {
  const server = testServer();
  const nothing = {} as (request: IncomingMessage, response: ServerResponse) => void;
  await expect(server.listen(nothing, { port: 0 })).rejects.toThrow("pass an Express application, a Fastify instance");
});
