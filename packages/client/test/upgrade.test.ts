import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { Duplex } from "node:stream";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test, vi } from "vitest";
import type { Client } from "../src/create-client.ts";
import { undici } from "../src/transport/undici.ts";
import { clientOf, endpointAt, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";
import { serveUpgrade } from "./upgrade-server.ts";

const notFound: RequestListener = (_request, response) => void response.writeHead(404).end("no upgrade");

const serveUpgrades = async (): Promise<RunningServer & { readonly sockets: Set<Duplex> }> => {
  const running = await serve(notFound);
  const sockets = new Set<Duplex>();
  running.server.on("upgrade", (request, socket, head) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    serveUpgrade(request, socket, head);
  });
  const end = running[Symbol.asyncDispose];
  return {
    ...running,
    sockets,
    [Symbol.asyncDispose]: () => {
      for (const socket of sockets) socket.destroy();
      return end();
    },
  };
};

const reviews = (server: RunningServer) => snapshotOf({ reviews: { endpoints: [server.endpoint] } });

const inFlight = (client: Client): number =>
  client.explain("http://reviews/").destinations[0]?.candidates[0]?.inFlight ?? -1;

const upgrade = (client: Client, options: { path?: string; signal?: AbortSignal; protocol?: string } = {}) =>
  undici.upgrade("http://reviews", {
    protocol: "echo",
    ...options,
    dispatcher: client.dispatcher,
  });

describe("an upgrade through the dispatcher", () => {
  test("hands over the connection with the reply's headers", async () => {
    await using server = await serveUpgrades();
    await using client = clientOf(reviews(server));
    const { socket, headers } = await upgrade(client);
    expect(headers).toMatchObject({ upgrade: "echo", "x-served-by": "reviews" });
    socket.write("said");
    const [said] = await once(socket, "data");
    expect(String(said)).toBe("said");
    socket.destroy();
  });

  test("counts its endpoint as in flight until the connection is closed", async () => {
    await using server = await serveUpgrades();
    await using client = clientOf(reviews(server));
    const { socket } = await upgrade(client);
    expect(inFlight(client)).toBe(1);
    socket.end();
    await once(socket.resume(), "close");
    await vi.waitFor(() => expect(inFlight(client)).toBe(0));
  });

  test("fails as undici's does where the server answers otherwise, and frees the connection", async () => {
    await using server = await serveUpgrades();
    await using client = clientOf(reviews(server));
    await expect(upgrade(client, { path: "/refused" })).rejects.toMatchObject({ message: "bad upgrade" });
    await vi.waitFor(() => expect(inFlight(client)).toBe(0));
  });

  test("can be aborted before the server has answered", async () => {
    await using server = await serve(notFound);
    const arrived = once(server.server, "upgrade");
    server.server.on("upgrade", () => undefined);
    await using client = clientOf(reviews(server));
    const abort = new AbortController();
    const upgraded = upgrade(client, { signal: abort.signal });
    const [, socket] = (await arrived) as [unknown, Duplex];
    const closed = once(socket.resume(), "end");
    abort.abort();
    await expect(upgraded).rejects.toMatchObject({ name: "AbortError" });
    await closed;
    socket.destroy();
    expect(inFlight(client)).toBe(0);
  });

  test("is spared from the call's deadline once the server has agreed", async () => {
    await using server = await serveUpgrades();
    const clock = new FakeClock();
    await using client = clientOf(reviews(server), { clock });
    const { socket } = await upgrade(client);
    clock.advance(3_600_000);
    socket.write("still here");
    const [said] = await once(socket, "data");
    expect(String(said)).toBe("still here");
    socket.destroy();
  });

  test("ends with the client, after its grace", async () => {
    await using server = await serveUpgrades();
    const clock = new FakeClock();
    const client = clientOf(reviews(server), { clock });
    const { socket } = await upgrade(client);
    const closed = once(socket.resume(), "close");
    const left = client.close();
    await vi.waitFor(() => expect(clock.pendingTimers).toBeGreaterThan(0));
    clock.advance(60_000);
    await Promise.all([left, closed]);
    expect(client.counters().drainsCutOff).toBeGreaterThan(0);
  });

  test("is tried on another endpoint when the first cannot be reached", async () => {
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
    const { port } = gone.address() as { port: number };
    await new Promise((resolve) => gone.close(resolve));
    await using server = await serveUpgrades();
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [endpointAt(port), server.endpoint] } }));
    for (let round = 0; round < 4; round++) (await upgrade(client)).socket.destroy();
    expect(client.counters().connectFailures).toBeGreaterThan(0);
  });
});

test("undici's WebSocket speaks to a service by its name", async () => {
  await using server = await serveUpgrades();
  await using client = clientOf(reviews(server));
  const socket = new undici.WebSocket("ws://reviews/talk", { dispatcher: client.dispatcher });
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", ({ error }) => reject(error));
  });
  expect(inFlight(client)).toBe(1);
  const said = new Promise((resolve) => socket.addEventListener("message", ({ data }) => resolve(data)));
  socket.send("hello");
  expect(await said).toBe("hello");
  const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
  socket.close();
  await closed;
  await vi.waitFor(() => expect(inFlight(client)).toBe(0));
});

test("the built-in WebSocket speaks to a service under mesh.install()", async () => {
  await using server = await serveUpgrades();
  await using client = clientOf(reviews(server));
  client.install();
  const socket = new WebSocket("ws://reviews/talk");
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", () => reject(new Error("no connection")));
  });
  expect(inFlight(client)).toBe(1);
  const said = new Promise((resolve) => socket.addEventListener("message", ({ data }) => resolve(data)));
  socket.send("hello");
  expect(await said).toBe("hello");
  socket.close();
  await vi.waitFor(() => expect(inFlight(client)).toBe(0));
});

test("the built-in WebSocket reaches hosts outside the mesh as without it", async () => {
  await using server = await serveUpgrades();
  await using client = clientOf(snapshotOf({}));
  client.install();
  const socket = new WebSocket(`ws://127.0.0.1:${server.endpoint.port}/talk`);
  const said = new Promise((resolve) => socket.addEventListener("message", ({ data }) => resolve(data)));
  socket.addEventListener("open", () => socket.send("hello"));
  expect(await said).toBe("hello");
  const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
  socket.close();
  await closed;
  expect(client.counters()).toMatchObject({ calls: 0, outside: 1 });
});

test("CONNECT is refused by one typed error: a service is no proxy", async () => {
  await using server = await serveUpgrades();
  await using client = clientOf(reviews(server));
  await expect(
    undici.connect("http://reviews", { dispatcher: client.dispatcher } as Parameters<typeof undici.connect>[1]),
  ).rejects.toMatchObject({ code: "INVALID_CALL", message: expect.stringContaining("upgrade") });
  await expect(client.request("http://reviews/", { method: "CONNECT" })).rejects.toMatchObject({
    code: "INVALID_CALL",
  });
});

test("request() refuses an upgrade and names the functions that can", async () => {
  await using server = await serveUpgrades();
  await using client = clientOf(reviews(server));
  await expect(client.request("http://reviews/", { upgrade: "echo" })).rejects.toMatchObject({
    code: "INVALID_CALL",
    message: expect.stringContaining("mesh.dispatcher"),
  });
});

describe("an informational reply", () => {
  const hints: RequestListener = (_request, response) => {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" }, () => response.end("late"));
  };

  test("reaches onInfo of mesh.request, in the caller's words", async () => {
    await using server = await serve(hints);
    await using client = clientOf(reviews(server));
    const heard: unknown[] = [];
    const { statusCode, body } = await client.request("http://reviews/", { onInfo: (info) => void heard.push(info) });
    expect([statusCode, await body.text()]).toEqual([200, "late"]);
    expect(heard).toEqual([{ statusCode: 103, headers: { link: "</style.css>; rel=preload" } }]);
  });

  test("reaches onInfo of undici's request over the dispatcher", async () => {
    await using server = await serve(hints);
    await using client = clientOf(reviews(server));
    const heard: unknown[] = [];
    const { statusCode, body } = await undici.request("http://reviews/", {
      dispatcher: client.dispatcher,
      onInfo: (info) => void heard.push(info),
    });
    expect([statusCode, await body.text()]).toEqual([200, "late"]);
    expect(heard).toEqual([{ statusCode: 103, headers: { link: "</style.css>; rel=preload" } }]);
  });
});
