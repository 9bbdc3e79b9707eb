import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import type { AccessPolicy } from "@tulle/policy";
import { constant } from "@tulle/time";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { inbound, testServer } from "./fixtures.ts";

const allowWs: AccessPolicy = { kind: "Access", name: "ws", rules: [{ to: [{ paths: ["/ws", "allowed:80"] }] }] };

const upgrade = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n`;

const open = (port: number): { socket: Socket; heard: () => string } => {
  const socket = connect(port, "127.0.0.1").setEncoding("utf8");
  let heard = "";
  socket.on("data", (chunk) => {
    heard += chunk;
  });
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  return { socket, heard: () => heard };
};

const appWithSockets = () => {
  const app = createServer((_request, response) => response.end("plain"));
  const listen = async () => {
    const server = testServer({ inbound: constant(inbound("disable", [allowWs])) });
    return { server, listener: await server.listen(app, { port: 0, host: "127.0.0.1" }) };
  };
  return { app, listen };
};

describe("an upgrade", () => {
  test("that Access allows reaches the application's own listener", async () => {
    const { app, listen } = appWithSockets();
    app.on("upgrade", (_request, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
      socket.pipe(socket);
    });
    const { server, listener } = await listen();
    const { socket, heard } = open(listener.port);
    socket.write(upgrade("/ws"));
    await vi.waitFor(() => expect(heard()).toContain("101 Switching"));
    socket.write("ping");
    await vi.waitFor(() => expect(heard()).toContain("ping"));
    expect(server.counters()).toMatchObject({ visits: 1 });
  });

  test("reaches a listener that was added after listen", async () => {
    const { app, listen } = appWithSockets();
    const { listener } = await listen();
    app.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
    const { socket, heard } = open(listener.port);
    socket.write(upgrade("/ws"));
    await vi.waitFor(() => expect(heard()).toContain("101 Switching"));
  });

  test("that Access does not allow is refused and its socket closed", async () => {
    const { app, listen } = appWithSockets();
    const ran = vi.fn();
    app.on("upgrade", ran);
    const { server, listener } = await listen();
    const { socket, heard } = open(listener.port);
    socket.write(upgrade("/admin"));
    await once(socket, "close");
    expect(heard()).toMatch(/^HTTP\/1.1 403 Forbidden\r\n/);
    expect(ran).not.toHaveBeenCalled();
    expect(server.counters()["refused.ACCESS_DENIED"]).toBe(1);
  });

  test("may be of any route, so a rule that denies one refuses it, and one that allows one does not allow it", async () => {
    const ran = vi.fn();
    for (const action of ["deny", "allow"] as const) {
      const byRoute: AccessPolicy = { kind: "Access", name: "r", action, rules: [{ to: [{ routes: ["/ws/:room"] }] }] };
      const server = testServer({ inbound: constant(inbound("disable", [byRoute])) });
      const app = createServer().on("upgrade", ran);
      const listener = await server.listen(app, { port: 0, host: "127.0.0.1" });
      const { socket, heard } = open(listener.port);
      socket.write(upgrade("/ws/1"));
      await once(socket, "close");
      expect(heard()).toMatch(/^HTTP\/1.1 403 /);
    }
    expect(ran).not.toHaveBeenCalled();
  });

  test("that nobody wants is a request like others, as with Node, and passes the gates", async () => {
    const { listen } = appWithSockets();
    const { listener } = await listen();
    const { socket, heard } = open(listener.port);
    socket.write(upgrade("/ws"));
    await vi.waitFor(() => expect(heard()).toContain("plain"));
    socket.write(upgrade("/admin"));
    await vi.waitFor(() => expect(heard()).toContain("403 Forbidden"));
  });
});

describe("CONNECT", () => {
  test("that nobody wants is closed, as with Node", async () => {
    const { listen } = appWithSockets();
    const { listener } = await listen();
    const { socket, heard } = open(listener.port);
    socket.write("CONNECT allowed:80 HTTP/1.1\r\nhost: a\r\n\r\n");
    await once(socket, "close");
    expect(heard()).toBe("");
  });

  test("passes the same gates", async () => {
    const { app, listen } = appWithSockets();
    app.on("connect", (_request, socket) => socket.end("HTTP/1.1 200 OK\r\n\r\n"));
    const { listener } = await listen();
    const allowed = open(listener.port);
    allowed.socket.write("CONNECT allowed:80 HTTP/1.1\r\nhost: a\r\n\r\n");
    await once(allowed.socket, "close");
    expect(allowed.heard()).toContain("200 OK");
    const refused = open(listener.port);
    refused.socket.write("CONNECT secret:22 HTTP/1.1\r\nhost: a\r\n\r\n");
    await once(refused.socket, "close");
    expect(refused.heard()).toMatch(/^HTTP\/1.1 403/);
  });
});

test("a refused caller that waits for 100 Continue need not send its body", async () => {
  const { listen } = appWithSockets();
  const { listener } = await listen();
  const { socket, heard } = open(listener.port);
  socket.write("POST /admin HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n");
  await vi.waitFor(() => expect(heard()).toContain("403 Forbidden"));
  expect(heard()).not.toContain("100 Continue");
});

test("a request that names its host twice is refused, whichever of them rules would have looked at", async () => {
  const { listen } = appWithSockets();
  const { listener, server } = await listen();
  const { socket, heard } = open(listener.port);
  socket.write("GET /ws HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n");
  await vi.waitFor(() => expect(heard()).toContain("400 Bad Request"));
  expect(server.counters()["refused.INVALID_REQUEST"]).toBe(1);
});

test.each(["user@a", "a/b", "a?b", "a#b", "a\\b", "a, b", "a b", "<a>"])(
  "a host that handlers could read in another way than rules is refused: %s",
  async (host) => {
    const { listen } = appWithSockets();
    const { listener, server } = await listen();
    const { socket, heard } = open(listener.port);
    socket.write(`GET /ws HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    await vi.waitFor(() => expect(heard()).toContain("400 Bad Request"));
    expect(server.counters()["refused.INVALID_REQUEST"]).toBe(1);
  },
);

test.each(["a:8080", "[::1]:8080", "A_b.example.", "%61"])("a host is left as it is: %s", async (host) => {
  const { listen } = appWithSockets();
  const { listener } = await listen();
  const { socket, heard } = open(listener.port);
  socket.write(`GET /ws HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
  await vi.waitFor(() => expect(heard()).toContain("plain"));
});

describe("a silent connection", () => {
  test("is closed after the deadline", async () => {
    const server = testServer();
    const listener = await server.listen(() => undefined, { port: 0, host: "127.0.0.1", sniff: { deadlineMs: 20 } });
    const { socket } = open(listener.port);
    await once(socket, "close");
    expect(server.counters()).toMatchObject({ silentConnections: 1, visits: 0 });
  });

  test("is closed at once beyond the bound", async () => {
    const server = testServer();
    const listener = await server.listen(() => undefined, { port: 0, host: "127.0.0.1", sniff: { most: 1 } });
    open(listener.port);
    await vi.waitFor(() => expect(listener.connections()).toBe(1));
    const { socket } = open(listener.port);
    await once(socket, "close");
    expect(server.counters()).toMatchObject({ silentConnections: 1 });
    expect(listener.connections()).toBe(1);
  });

  test("that ends without a word leaves nothing behind", async () => {
    const server = testServer();
    const listener = await server.listen(() => undefined, { port: 0, host: "127.0.0.1" });
    const { socket } = open(listener.port);
    await vi.waitFor(() => expect(listener.connections()).toBe(1));
    socket.end();
    await vi.waitFor(() => expect(listener.connections()).toBe(0));
    expect(server.counters()).toMatchObject({ silentConnections: 0 });
  });
});
