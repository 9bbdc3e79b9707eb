import { once } from "node:events";
import { createServer } from "node:http";
import type { Duplex } from "node:stream";
import { createTestAuthority } from "@tulle/testing";
import { upgrade } from "undici";
import { expect, test } from "vitest";
import { createMesh } from "../src/create-mesh.ts";

const authority = await createTestAuthority();

const meshOf = async (service: string, endpoints: Record<string, string[]> = {}) =>
  createMesh({
    policies: [
      {
        kind: "Access",
        name: "callers",
        selector: { service: "reviews" },
        rules: [{ from: [{ principals: ["cluster.local/ns/default/sa/productpage"] }] }],
      },
    ],
    endpoints: { reviews: [], ...endpoints },
    service,
    credentials: await authority.issue({ serviceAccount: service }),
  });

test("an upgrade passes the gates of a member over mTLS, and whom they refuse gets no connection", async () => {
  await using reviews = await meshOf("reviews");
  const server = createServer();
  const sockets: Duplex[] = [];
  server.on("upgrade", (_request, socket) => {
    sockets.push(socket);
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
    socket.pipe(socket);
  });
  const { port } = await reviews.listen(server, { port: 0, host: "127.0.0.1", signals: false });
  const endpoints = { reviews: [`127.0.0.1:${port}`] };
  await using productpage = await meshOf("productpage", endpoints);
  await using details = await meshOf("details", endpoints);

  const { socket } = await upgrade("http://reviews", { protocol: "echo", dispatcher: productpage.dispatcher });
  socket.write("said over mTLS");
  const [said] = await once(socket, "data");
  expect(String(said)).toBe("said over mTLS");
  expect(productpage.status.counters.client.handshakes).toBe(1);

  await expect(upgrade("http://reviews", { protocol: "echo", dispatcher: details.dispatcher })).rejects.toMatchObject({
    message: "bad upgrade",
  });
  expect(sockets).toHaveLength(1);

  socket.destroy();
  for (const each of sockets) each.destroy();
});

test("the time that a caller waits for an upgrade does not bound the calls that are made on its connection", async () => {
  await using ratings = await meshOf("ratings");
  const inherited: (string | undefined)[] = [];
  const { port: ratingsPort } = await ratings.listen(
    (request, response) => {
      inherited.push(request.headers["x-envoy-expected-rq-timeout-ms"] as string | undefined);
      response.end();
    },
    { port: 0, host: "127.0.0.1", signals: false },
  );
  await using caller = await meshOf("reviews", { ratings: [`127.0.0.1:${ratingsPort}`] });
  const server = createServer();
  server.on("upgrade", (_request, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
    // In the context of the visit, which the events of the socket do not run in.
    void once(socket, "data")
      .then(() => caller.fetch("http://ratings/"))
      .then(
        () => socket.end("called"),
        (error: unknown) => socket.end(String(error)),
      );
  });
  const { port } = await caller.listen(server, { port: 0, host: "127.0.0.1", signals: false });
  await using productpage = await meshOf("productpage", { reviews: [`127.0.0.1:${port}`] });

  const { socket } = await upgrade("http://reviews", {
    protocol: "echo",
    dispatcher: productpage.dispatcher,
    mesh: { timeout: "1s" },
  } as Parameters<typeof upgrade>[1]);
  socket.write("now");
  const [said] = await once(socket, "data");
  expect(String(said)).toBe("called");
  // Its own default, and no rest of the caller's second.
  expect(Number(inherited[0])).toBeGreaterThan(1_000);
  socket.destroy();
});
