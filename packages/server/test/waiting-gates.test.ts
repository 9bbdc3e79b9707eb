import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { systemClock } from "@tulle/time";
import express from "express";
import fastify from "fastify";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type AdmissionDesk, admitRequest } from "../src/admit-request.ts";
import { applicationOf, type ListenApp } from "../src/application.ts";
import { strangerConnection } from "../src/connection.ts";
import { ServerCounters } from "../src/counters.ts";
import { expressMesh } from "../src/express.ts";
import { fastifyMesh } from "../src/fastify.ts";
import type { Gate, Refusal, Visit } from "../src/gate.ts";
import { serveApplication } from "../src/listener/serve-application.ts";
import { LoadReports } from "../src/load-report.ts";
import type { AdapterServer } from "../src/mesh-visit.ts";
import { meshHandler } from "../src/node-http.ts";
import { VisitObserver } from "../src/observe-visit.ts";
import { type ListenerState, visitOf } from "../src/visit.ts";
import { call } from "./fixtures.ts";
import { recordTelemetry } from "./telemetry.ts";

const denied: Refusal = { code: "ACCESS_DENIED", detail: "asked elsewhere" };

/** A gate whose answer the test gives, visit by visit. */
const waitingGate = () => {
  const asked: { readonly visit: Visit; readonly answer: (refusal?: Refusal) => void; readonly fail: () => void }[] =
    [];
  const gate: Gate = (visit) =>
    new Promise((resolve, reject) => {
      asked.push({ visit, answer: resolve, fail: () => reject(new Error("broken")) });
    });
  return { gate, asked };
};

const own: ListenerState = { kind: "own", draining: false, closed: false };

const stage = (gates: readonly Gate[]) => {
  const counters = new ServerCounters();
  const load = new LoadReports(systemClock);
  onTestFinished(() => load.close());
  const desk: AdmissionDesk = {
    gates,
    enforces: true,
    observer: new VisitObserver({ clock: systemClock, random: Math.random, counters, trustsAll: false, silent: false }),
    clock: systemClock,
    current: { policy: undefined },
    runIn: (_visit, run) => run(),
    load,
    plaintext: undefined,
    inspect: (request) => strangerConnection(request.socket, "plaintext"),
  };
  const adapter: AdapterServer = {
    admit: (request, response) => visitOf(request) ?? admitRequest(desk, request, response, own, () => "nobody"),
    enter: (_visit, run) => run(),
    settleRoute: () => true,
  };
  return { desk, adapter, counters };
};

const opened = async (server: Server): Promise<number> => {
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
};

const behindMesh = async (app: ListenApp, desk: AdmissionDesk): Promise<number> => {
  const server = createServer();
  serveApplication(server, applicationOf(app), own, desk);
  return await opened(server);
};

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

const echo = createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
  });
  request.on("end", () => response.end(text));
});

const expressEcho = (adapter: AdapterServer): Server => {
  const app = express();
  app.use(expressMesh(adapter));
  app.use(express.text({ limit: "1mb" }));
  app.post("/echo", (request, response) => void response.send(request.body));
  return createServer(app);
};

const fastifyEcho = async (adapter: AdapterServer): Promise<Server> => {
  const app = fastify();
  await app.register(fastifyMesh, { mesh: adapter });
  app.post("/echo", async (request) => request.body);
  await app.ready();
  onTestFinished(() => app.close());
  return app.server;
};

const places: readonly (readonly [string, (kit: ReturnType<typeof stage>) => Promise<number>])[] = [
  ["behind the mesh's listener", ({ desk }) => behindMesh(echo, desk)],
  [
    "in a node:http handler",
    async ({ adapter }) =>
      await opened(createServer(meshHandler(adapter, (request, response) => echo.emit("request", request, response)))),
  ],
  ["in Express", async ({ adapter }) => await opened(expressEcho(adapter))],
  ["in Fastify", async ({ adapter }) => await opened(await fastifyEcho(adapter))],
];

describe.each(places)("a gate that waits, %s", (_place, start) => {
  // Longer than the buffers between the caller and the handler.
  const body = "x".repeat(600_000);
  const post = { path: "/echo", method: "POST", body, headers: { "content-type": "text/plain" } };

  test("keeps the body for the handler", async () => {
    const { gate, asked } = waitingGate();
    const port = await start(stage([gate]));
    const answer = call(port, post);
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    // The body is on its way before the gate has answered.
    await new Promise((resolve) => setImmediate(resolve));
    asked[0]?.answer();
    const { status, body: echoed } = await answer;
    expect([status, echoed === body]).toEqual([200, true]);
  });

  test("refuses, and no handler runs", async () => {
    const { gate, asked } = waitingGate();
    const { counters, ...kit } = stage([gate]);
    const port = await start({ counters, ...kit });
    const answer = call(port, { path: "/echo" });
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    asked[0]?.answer(denied);
    expect(await answer).toMatchObject({ status: 403, body: "Forbidden\n" });
    expect(counters.refusalsOf("ACCESS_DENIED")).toBe(1);
  });
});

describe("while a gate is waited for", () => {
  test("nobody asks the gates behind it, and they are asked in order after it", async () => {
    const { gate, asked } = waitingGate();
    const behind = vi.fn<Gate>(() => denied);
    const port = await behindMesh(echo, stage([gate, behind]).desk);
    const answer = call(port);
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    expect(behind).not.toHaveBeenCalled();
    asked[0]?.answer();
    expect(await answer).toMatchObject({ status: 403 });
    expect(behind).toHaveBeenCalledOnce();
  });

  test("a caller that goes away aborts the wait, ends its visit and runs no handler", async () => {
    const telemetry = recordTelemetry();
    const { gate, asked } = waitingGate();
    const behind = vi.fn<Gate>(() => undefined);
    const ran = vi.fn();
    const port = await behindMesh(ran, stage([gate, behind]).desk);
    const { socket } = open(port);
    socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    const visit = asked[0]?.visit;
    const { signal } = visit ?? {};
    socket.destroy();
    await vi.waitFor(() => expect(signal?.aborted).toBe(true));
    expect(visit?.open).toBe(false);
    asked[0]?.answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(behind).not.toHaveBeenCalled();
    expect(ran).not.toHaveBeenCalled();
    const [point] = await telemetry.points("http.server.request.duration");
    expect(point?.attributes).toMatchObject({ "error.type": "caller_gone" });
    expect(await telemetry.spans()).toHaveLength(1);
  });

  test("the connection counts the visit, so that it is not cut as idle", async () => {
    const { gate, asked } = waitingGate();
    const { desk } = stage([gate]);
    const connections: { readonly visits: number }[] = [];
    const inspecting: AdmissionDesk = {
      ...desk,
      inspect: (request) => {
        const connection = strangerConnection(request.socket, "plaintext");
        connections.push(connection);
        return connection;
      },
    };
    const port = await behindMesh(echo, inspecting);
    const answer = call(port);
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    expect(connections[0]?.visits).toBe(1);
    asked[0]?.answer();
    await answer;
    await vi.waitFor(() => expect(connections[0]?.visits).toBe(0));
  });

  test("requests of the same connection that came later are answered in their order", async () => {
    const { gate, asked } = waitingGate();
    const handler = createServer((request, response) => response.end(`<${request.url}>`));
    const port = await behindMesh(handler, stage([gate]).desk);
    const { socket, heard } = open(port);
    socket.write("GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n");
    await vi.waitFor(() => expect(asked).toHaveLength(2));
    asked[1]?.answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard()).toBe("");
    asked[0]?.answer();
    await vi.waitFor(() => expect(heard()).toMatch(/<\/1>[\s\S]*<\/2>/));
  });

  test("100 Continue is not said", async () => {
    const { gate, asked } = waitingGate();
    const port = await behindMesh(echo, stage([gate]).desk);
    const { socket, heard } = open(port);
    socket.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n");
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    expect(heard()).toBe("");
    asked[0]?.answer();
    await vi.waitFor(() => expect(heard()).toContain("100 Continue"));
    socket.write("hi");
    await vi.waitFor(() => expect(heard()).toContain("hi"));
  });
});

test("a gate that breaks refuses", async () => {
  const { gate, asked } = waitingGate();
  const ran = vi.fn();
  const port = await behindMesh(ran, stage([gate]).desk);
  const answer = call(port);
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  asked[0]?.fail();
  expect(await answer).toMatchObject({ status: 503 });
  expect(ran).not.toHaveBeenCalled();
});

test("gates that all answer at once make no promise", () => {
  const { desk } = stage([() => undefined, () => undefined]);
  const server = createServer();
  const admitted: unknown[] = [];
  server.on("request", (request, response) => {
    admitted.push(admitRequest(desk, request, response, own, () => "nobody"));
    response.end();
  });
  return opened(server)
    .then((port) => call(port))
    .then(() => {
      expect(admitted).toHaveLength(1);
      expect(admitted[0]).not.toBeInstanceOf(Promise);
    });
});

describe.each([
  ["upgrade", "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"],
  ["connect", "CONNECT other:80 HTTP/1.1\r\nhost: a\r\n\r\n"],
] as const)("%s while a gate is waited for", (event, request) => {
  const app = () => {
    const server = createServer();
    const ran = vi.fn();
    server.on(event, (_request, socket: Socket, head: Buffer) => {
      ran();
      socket.write("HTTP/1.1 101 OK\r\n\r\n");
      socket.write(head);
      socket.pipe(socket);
    });
    return { server, ran };
  };

  test("keeps what the caller says meanwhile", async () => {
    const { gate, asked } = waitingGate();
    const port = await behindMesh(app().server, stage([gate]).desk);
    const { socket, heard } = open(port);
    socket.write(`${request}early `);
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    socket.write("later");
    asked[0]?.answer();
    await vi.waitFor(() => expect(heard()).toBe("HTTP/1.1 101 OK\r\n\r\nearly later"));
  });

  test("is refused, and the socket closed", async () => {
    const { gate, asked } = waitingGate();
    const { server, ran } = app();
    const port = await behindMesh(server, stage([gate]).desk);
    const { socket, heard } = open(port);
    socket.write(request);
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    asked[0]?.answer(denied);
    await once(socket, "close");
    expect(heard()).toMatch(/^HTTP\/1.1 403/);
    expect(ran).not.toHaveBeenCalled();
  });

  test("survives a caller's reset", async () => {
    const { gate, asked } = waitingGate();
    const { server, ran } = app();
    const port = await behindMesh(server, stage([gate]).desk);
    const { socket } = open(port);
    socket.write(request);
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    const { visit } = asked[0] ?? {};
    socket.resetAndDestroy();
    await vi.waitFor(() => expect(visit?.open).toBe(false));
    asked[0]?.answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(ran).not.toHaveBeenCalled();
  });
});
