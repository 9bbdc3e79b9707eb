import { once } from "node:events";
import { Agent, get, type ServerResponse } from "node:http";
import { Agent as TlsAgent } from "node:https";
import { connect } from "node:net";
import { createTestAuthority } from "@tulle/testing";
import { constant } from "@tulle/time";
import { expect, onTestFinished, test, vi } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

test("without connections a drain closes the listener at once", async () => {
  const server = testServer();
  const listener = await server.listen((_request, response) => response.end(), { port: 0, host: "127.0.0.1" });
  expect(await listener.drain()).toMatchObject({ connectionsAtStart: 0, connectionsCut: 0 });
  await expect(call(listener.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("a drain serves what comes, closes each connection with its reply, tells peers in-band, and ends at zero", async () => {
  const authority = await createTestAuthority();
  const server = testServer({
    inbound: constant(inbound("permissive")),
    credentials: constant(await authority.issue({ serviceAccount: "reviews" })),
  });
  const held: ServerResponse[] = [];
  const listener = await server.listen(
    (request, response) => {
      if (request.url === "/held") held.push(response);
      else response.writeHead(200, { connection: "keep-alive" }).end("ok");
    },
    { port: 0, host: "127.0.0.1", health: { port: 0 } },
  );
  const peer = await authority.issue();
  const agent = new TlsAgent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  expect((await call(listener.port, { as: peer, agent })).headers.connection).toBe("keep-alive");

  const pending = call(listener.port, { path: "/held" });
  await vi.waitFor(() => expect(held).toHaveLength(1));
  expect((await call(listener.healthPort!, { path: "/readyz" })).status).toBe(200);
  const draining = listener.drain();
  expect(await call(listener.healthPort!, { path: "/readyz" })).toMatchObject({
    status: 503,
    body: JSON.stringify({ status: "not ready", reason: "the service drains" }),
  });
  expect((await call(listener.healthPort!, { path: "/healthz" })).status).toBe(200);

  const late = await call(listener.port, { as: peer, agent });
  expect(late).toMatchObject({ status: 200, body: "ok", headers: { connection: "close", "tulle-drain": "1" } });
  const stranger = await call(listener.port);
  expect(stranger).toMatchObject({ status: 200, headers: { connection: "close" } });
  expect(stranger.headers).not.toHaveProperty("tulle-drain");

  held[0]!.end("done");
  expect(await pending).toMatchObject({ status: 200, body: "done", headers: { connection: "close" } });
  expect(await draining).toMatchObject({ connectionsAtStart: 2, connectionsCut: 0 });
  await expect(call(listener.healthPort!, { path: "/healthz" })).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("a drain cuts what is left when its time is over", async () => {
  const server = testServer();
  const listener = await server.listen(() => undefined, { port: 0, host: "127.0.0.1", drainTimeout: "20ms" });
  const socket = connect(listener.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await vi.waitFor(() => expect(server.counters().visits).toBe(1));
  expect(await listener.drain()).toMatchObject({ connectionsAtStart: 1, connectionsCut: 1 });
});

test("POSTs on kept connections lose nothing while the listener drains", async () => {
  const server = testServer();
  let served = 0;
  const listener = await server.listen(
    (request, response) => {
      served++;
      request.resume().on("end", () => response.end("ok"));
    },
    { port: 0, host: "127.0.0.1" },
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  onTestFinished(() => agent.destroy());
  let stop = false;
  let answered = 0;
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (!stop) {
      try {
        await call(listener.port, { agent, method: "POST", body: "x" });
        answered++;
      } catch (error) {
        // Refused before anything was sent is what a client tries elsewhere.
        if ((error as NodeJS.ErrnoException).code !== "ECONNREFUSED") failures.push(error);
        stop = true;
      }
    }
  };
  const workers = Array.from({ length: 8 }, worker);
  await vi.waitFor(() => expect(answered).toBeGreaterThan(50));
  const draining = listener.drain();
  await vi.waitFor(() => expect(answered).toBeGreaterThan(100));
  stop = true;
  await Promise.all(workers);
  expect(await draining).toMatchObject({ connectionsCut: 0 });
  expect(failures).toEqual([]);
  expect(served).toBe(answered);
});

test("what a visit hands down ends with its answer, and its signal tells of a caller that left", async () => {
  const visits: { open: boolean; signal: AbortSignal }[] = [];
  const server = testServer({
    enter: (visit, run) => {
      if (!visits.includes(visit)) visits.push(visit);
      return run();
    },
  });
  const listener = await server.listen(
    (request, response) => {
      if (request.url === "/answer") response.end("ok");
    },
    { port: 0, host: "127.0.0.1" },
  );
  await call(listener.port, { path: "/answer" });
  await vi.waitFor(() => expect(visits[0]!.open).toBe(false));
  expect(visits[0]!.signal.aborted).toBe(false);

  const request = get({ port: listener.port, path: "/never" });
  request.on("error", () => undefined);
  await vi.waitFor(() => expect(visits).toHaveLength(2));
  const { signal } = visits[1]!;
  expect(signal.aborted).toBe(false);
  request.destroy();
  await once(signal, "abort");
  expect(visits[1]!.open).toBe(false);
  expect(signal.reason).toMatchObject({ name: "AbortError" });
});
