import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { createTestAuthority } from "@tulle/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { KEEP_ALIVE_TIMEOUT_MS, keepIdleConnections } from "../src/listener/idle-time.ts";
import { call, testServer } from "./fixtures.ts";

const IDLE_MS = 50;
const REQUEST = "GET / HTTP/1.1\r\nhost: reviews\r\n\r\n";

const svid = await (await createTestAuthority()).issue({ serviceAccount: "reviews" });

const listenOn = async (server: Server): Promise<number> => {
  server.on("request", (_request, response) => response.end("ok"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close().closeAllConnections());
  return (server.address() as AddressInfo).port;
};

/** Sends a request as the last thing before this process stalls for longer than the idle time. */
const requestBeforeStall = async (socket: Socket): Promise<string> => {
  socket.write(REQUEST);
  await once(socket, "data");
  // The server has set its timer by then.
  await new Promise(setImmediate);
  const answer = Promise.race([
    once(socket, "data").then(([chunk]) => String(chunk).split("\r\n", 1)[0] ?? ""),
    once(socket, "close").then(() => "closed"),
  ]);
  socket.on("error", () => undefined);
  socket.write(REQUEST);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * IDLE_MS);
  const first = await answer;
  socket.destroy();
  return first;
};

describe("a request that came while the server stalled past its idle time", () => {
  test("is answered", async () => {
    const server = createServer();
    keepIdleConnections(server, { announcedMs: IDLE_MS, bufferMs: 0 });
    const port = await listenOn(server);
    expect(await requestBeforeStall(connect(port, "127.0.0.1"))).toBe("HTTP/1.1 200 OK");
  });

  test("is answered over TLS", async () => {
    const server = createTlsServer({ key: svid.privateKey, cert: svid.certificateChain });
    keepIdleConnections(server, { announcedMs: IDLE_MS, bufferMs: 0 });
    const port = await listenOn(server);
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
    await once(socket, "secureConnect");
    expect(await requestBeforeStall(socket)).toBe("HTTP/1.1 200 OK");
  });
});

test("a connection on which nothing comes is closed", async () => {
  const server = createServer();
  keepIdleConnections(server, { announcedMs: IDLE_MS, bufferMs: 0 });
  const socket = connect(await listenOn(server), "127.0.0.1");
  socket.write(REQUEST);
  socket.resume();
  await once(socket, "close");
});

test("a listener announces how long it keeps idle connections", async () => {
  const server = testServer();
  const listener = await server.listen((_request, response) => void response.end("ok"), {
    port: 0,
    host: "127.0.0.1",
    public: [{ port: 0 }],
  });
  for (const port of [listener.port, ...listener.publicPorts]) {
    const { headers } = await call(port, { headers: { connection: "keep-alive" } });
    expect(headers["keep-alive"]).toBe(`timeout=${KEEP_ALIVE_TIMEOUT_MS / 1_000}`);
  }
});
