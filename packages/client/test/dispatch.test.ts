import { once } from "node:events";
import { createServer as createTcpServer, type Socket } from "node:net";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test, vi } from "vitest";
import { EARLY_BODY_BYTES } from "../src/transport/reply-body.ts";
import { TestCaller, TestServer, textOf } from "./transport-kit.ts";

/** A server that answers each connection with raw bytes, once it has heard something. */
const rawServer = (answer: (socket: Socket) => void) =>
  TestServer.on(
    createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => answer(socket));
    }),
  );

describe("an attempt", () => {
  test("sends the call's and its own headers under the call's authority, and answers with status, headers and body", async () => {
    await using server = await TestServer.http((request, response) => {
      response.writeHead(201, "Made", { "X-Reply": "yes" });
      response.end(`${request.method} ${request.url} ${request.headers.host} ${request.headers["x-call"]}`);
    });
    await using caller = new TestCaller([server.endpoint()]);
    const { reply, attempt } = caller.begin({
      method: "POST",
      path: "/a?b=1",
      headers: ["x-call", "1"],
      body: "hello",
    });
    const got = await reply;
    expect(got).toMatchObject({ status: 201, statusText: "Made", headers: { "x-reply": "yes" } });
    expect(got.rawHeaders.map(String)).toContain("X-Reply");
    expect(await textOf(got)).toBe("POST /a?b=1 reviews 1");
    expect(attempt).toMatchObject({ progress: "answered", status: 201, abort: undefined });
  });

  test("skips informational replies", async () => {
    await using server = await TestServer.http((_request, response) => {
      response.writeEarlyHints({ link: "</style.css>; rel=preload" });
      response.end("final");
    });
    await using caller = new TestCaller([server.endpoint()]);
    const { reply } = caller.begin();
    expect((await reply).status).toBe(200);
  });

  test("hands on trailers", async () => {
    await using server = await TestServer.http((_request, response) => {
      response.writeHead(200, { trailer: "x-sum" });
      response.write("body");
      response.addTrailers({ "x-sum": "4" });
      response.end();
    });
    await using caller = new TestCaller([server.endpoint()]);
    const reply = await caller.begin().reply;
    const end = vi.fn();
    reply.take({ data: () => true, end, error: end });
    await vi.waitFor(() => expect(end).toHaveBeenCalledWith({ "x-sum": "4" }));
  });

  test("reuses connections, and the pool counts what is under way", async () => {
    await using server = await TestServer.http((_request, response) => response.end("ok"));
    await using caller = new TestCaller([server.endpoint()]);
    for (let call = 0; call < 20; call++) expect(await caller.text()).toBe("ok");
    // undici frees a connection one turn after its reply, so a second one serves whoever calls again at once.
    expect(caller.transport.counters.connections).toBeLessThanOrEqual(2);
    expect(caller.endpoints.all()[0]?.pool.active).toBe(0);
  });

  test("leaves its connection usable when undici refuses the request", async () => {
    await using server = await TestServer.http((_request, response) => response.end("ok"));
    await using caller = new TestCaller([server.endpoint()], { policy: { maxConnectionsPerEndpoint: 1 } });
    expect(await caller.text()).toBe("ok");
    const { reply, attempt } = caller.begin({ headers: ["not a name", "1"] });
    await expect(reply).rejects.toMatchObject({ code: "INVALID_CALL" });
    expect(attempt.progress).toBe("not-sent");
    expect(await caller.text()).toBe("ok");
    expect(caller.transport.counters.connections).toBe(1);
  });
});

describe("a body", () => {
  test("waits for whoever takes it, paused beyond its bound, and comes whole and in order", async () => {
    const body = "0123456789".repeat(50_000);
    await using server = await TestServer.http((_request, response) => response.end(body));
    await using caller = new TestCaller([server.endpoint()]);
    const reply = await caller.begin().reply;
    await vi.waitFor(() => expect(caller.transport.counters.earlyBodyFull).toBe(1));
    expect(body.length).toBeGreaterThan(EARLY_BODY_BYTES);
    expect(await textOf(reply)).toBe(body);
  });

  test("stops while its sink asks for a pause, and goes on when told", async () => {
    const body = "x".repeat(3_000_000);
    await using server = await TestServer.http((_request, response) => response.end(body));
    await using caller = new TestCaller([server.endpoint()]);
    const reply = await caller.begin().reply;
    let received = 0;
    const ended = Promise.withResolvers<void>();
    const flow = reply.take({
      data: (chunk) => {
        received += chunk.length;
        setImmediate(() => flow.resume());
        return false;
      },
      end: () => ended.resolve(),
      error: ended.reject,
    });
    await ended.promise;
    expect(received).toBe(body.length);
  });

  test("has one consumer", async () => {
    await using server = await TestServer.http((_request, response) => response.end("ok"));
    await using caller = new TestCaller([server.endpoint()]);
    const reply = await caller.begin().reply;
    await textOf(reply);
    expect(() => reply.take({ data: () => true, end: () => undefined, error: () => undefined })).toThrow(/taken/);
  });

  test("tells its end to everybody who asked, and to whoever asks later", async () => {
    await using server = await TestServer.http((_request, response) => response.end("ok"));
    await using caller = new TestCaller([server.endpoint()]);
    const reply = await caller.begin().reply;
    const done = vi.fn();
    reply.onDone(done);
    reply.onDone(done);
    await textOf(reply);
    reply.onDone(done);
    expect(done.mock.calls).toEqual([[undefined], [undefined], [undefined]]);
  });

  test("that breaks off is REPLY_BROKEN after what came", async () => {
    await using server = await rawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", () => socket.destroy());
    });
    await using caller = new TestCaller([server.endpoint()]);
    const { reply, attempt } = caller.begin();
    const got = await reply;
    const done = vi.fn();
    got.onDone(done);
    await expect(textOf(got)).rejects.toMatchObject({ code: "REPLY_BROKEN", cause: expect.any(Error) });
    expect(done).toHaveBeenCalledWith(expect.objectContaining({ code: "REPLY_BROKEN" }));
    expect(attempt).toMatchObject({ progress: "answered", code: "REPLY_BROKEN" });
  });

  test("that is silent for too long is IDLE_TIMEOUT, but not while its reader is slow", async () => {
    const clock = new FakeClock();
    await using server = await TestServer.http((_request, response) => void response.write("begin"));
    await using caller = new TestCaller([server.endpoint()], { clock });
    caller.idleTimeoutMs = 1_000;
    const reply = await caller.begin().reply;
    const error = vi.fn();
    const data = vi.fn(() => false);
    const flow = reply.take({ data, end: error, error });
    await vi.waitFor(() => expect(data).toHaveBeenCalled());
    clock.advance(5_000);
    expect(error).not.toHaveBeenCalled();
    flow.resume();
    clock.advance(2_000);
    expect(error).toHaveBeenCalledWith(expect.objectContaining({ code: "IDLE_TIMEOUT" }));
    expect(clock.pendingTimers).toBe(0);
  });

  test("that came with its headers starts no timer", async () => {
    const clock = new FakeClock();
    await using server = await TestServer.http((_request, response) => response.end("ok"));
    await using caller = new TestCaller([server.endpoint()], { clock });
    caller.idleTimeoutMs = 1_000;
    await caller.text();
    const before = clock.pendingTimers;
    await caller.text();
    expect(clock.pendingTimers).toBe(before);
  });
});

describe("a discarded reply", () => {
  test("that is short leaves its connection usable", async () => {
    await using server = await TestServer.http((_request, response) => response.end("x".repeat(20_000)));
    await using caller = new TestCaller([server.endpoint()], { policy: { maxConnectionsPerEndpoint: 1 } });
    const reply = await caller.begin().reply;
    reply.discard();
    reply.discard();
    await caller.text();
    expect(caller.transport.counters.connections).toBe(1);
  });

  test("that is long is cut off, without an error for whoever waits for its end", async () => {
    await using server = await TestServer.http((_request, response) => response.end("x".repeat(5_000_000)));
    await using caller = new TestCaller([server.endpoint()]);
    const reply = await caller.begin().reply;
    const done = vi.fn();
    reply.onDone(done);
    reply.discard();
    expect(done).toHaveBeenCalledExactlyOnceWith(undefined);
    await vi.waitFor(() => expect(caller.endpoints.all()[0]?.pool.active).toBe(0));
  });

  test("of unknown length is read up to a bound", async () => {
    await using server = await TestServer.http((_request, response) => {
      const timer = setInterval(() => response.write("x".repeat(10_000)), 1);
      response.on("close", () => clearInterval(timer));
    });
    await using caller = new TestCaller([server.endpoint()]);
    (await caller.begin().reply).discard();
    await vi.waitFor(() => expect(caller.endpoints.all()[0]?.pool.active).toBe(0));
  });
});

describe("a call that is given up", () => {
  test("rejects with exactly the reason while it waits for its reply, and closes the connection", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = await TestServer.http((request) => request.on("close", () => closed.resolve()));
    await using caller = new TestCaller([server.endpoint()]);
    const { call, attempt, reply } = caller.begin();
    await vi.waitFor(() => expect(attempt.progress).toBe("sent"));
    const reason = new Error("enough");
    call.cancel.cancel(reason);
    await expect(reply).rejects.toBe(reason);
    await closed.promise;
    expect(call.cancel.listening).toBe(0);
    expect(caller.endpoints.all()[0]?.pool.active).toBe(0);
  });

  test("before it was sent costs no connection", async () => {
    const answers: (() => void)[] = [];
    await using server = await TestServer.http((_request, response) => answers.push(() => response.end("ok")));
    await using caller = new TestCaller([server.endpoint()], { policy: { maxConnectionsPerEndpoint: 1 } });
    const first = caller.begin();
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    const queued = caller.begin();
    queued.call.cancel.cancel("changed my mind");
    await expect(queued.reply).rejects.toBe("changed my mind");
    expect(queued.attempt.progress).toBe("not-sent");
    answers[0]?.();
    await textOf(await first.reply);
    const last = caller.begin();
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    answers[1]?.();
    await textOf(await last.reply);
    expect(caller.transport.counters.connections).toBe(1);
    expect(caller.endpoints.all()[0]?.pool.active).toBe(0);
  });

  test("in its body ends the body with the reason", async () => {
    await using server = await TestServer.http((_request, response) => void response.write("begin"));
    await using caller = new TestCaller([server.endpoint()]);
    const { call, reply } = caller.begin();
    const text = textOf(await reply);
    call.cancel.cancel(new Error("enough"));
    await expect(text).rejects.toThrow("enough");
  });

  test("is not sent when it was given up before", async () => {
    const handler = vi.fn();
    await using server = await TestServer.http(handler);
    await using caller = new TestCaller([server.endpoint()]);
    const { attempt, reply } = caller.begin({ givenUp: "no" });
    await expect(reply).rejects.toBe("no");
    await caller.endpoints.close();
    expect(attempt.progress).toBe("not-sent");
    expect(handler).not.toHaveBeenCalled();
  });

  test("can lose one attempt and live on", async () => {
    await using server = await TestServer.http(() => undefined);
    await using caller = new TestCaller([server.endpoint()]);
    const { call, attempt, reply } = caller.begin();
    const reason = new Error("attempt took too long");
    attempt.abort?.(reason);
    await expect(reply).rejects.toBe(reason);
    expect(call.cancel).toMatchObject({ cancelled: false, listening: 0 });
  });
});

describe("a failed attempt", () => {
  test("that found nobody listening is CONNECT_FAILED and provably unsent", async () => {
    const server = await TestServer.http(() => undefined);
    const endpoint = server.endpoint();
    await server[Symbol.asyncDispose]();
    await using caller = new TestCaller([endpoint]);
    const { attempt, reply } = caller.begin({ method: "POST", body: "x" });
    await expect(reply).rejects.toMatchObject({
      code: "CONNECT_FAILED",
      message: expect.stringContaining(endpoint.id),
      cause: expect.objectContaining({ code: "ECONNREFUSED" }),
    });
    expect(attempt).toMatchObject({ progress: "not-sent", code: "CONNECT_FAILED" });
  });

  test("whose connection ended without an answer is CONNECTION_TERMINATED and sent", async () => {
    await using server = await rawServer((socket) => socket.destroy());
    await using caller = new TestCaller([server.endpoint()]);
    const { attempt, reply } = caller.begin();
    await expect(reply).rejects.toMatchObject({ code: "CONNECTION_TERMINATED", status: 503 });
    expect(attempt).toMatchObject({ progress: "sent", code: "CONNECTION_TERMINATED" });
  });

  test("whose answer is not HTTP is REPLY_BROKEN", async () => {
    await using server = await rawServer((socket) => socket.end("SSH-2.0-OpenSSH\r\n\r\n"));
    await using caller = new TestCaller([server.endpoint()]);
    await expect(caller.begin().reply).rejects.toMatchObject({ code: "REPLY_BROKEN", status: 502 });
  });

  test("keeps the error of the caller's own body stream", async () => {
    await using server = await TestServer.http((request) => request.resume());
    await using caller = new TestCaller([server.endpoint()]);
    const body = (async function* () {
      yield Buffer.from("begin");
      throw new Error("disk is gone");
    })();
    // An async iterable is a body for undici, though its types name only readables.
    const { reply } = caller.begin({ method: "POST", body: body as never });
    await expect(reply).rejects.toThrow("disk is gone");
  });

  test("by a connect that takes too long is CONNECT_FAILED at the limit", async () => {
    const clock = new FakeClock();
    // A TLS handshake that is never answered.
    await using server = await TestServer.on(createTcpServer((socket) => void socket.on("error", () => undefined)));
    await using caller = new TestCaller([server.endpoint({ transport: "tls" })], { clock });
    const { reply } = caller.begin();
    await once(server.server, "connection");
    clock.advance(1_000);
    await expect(reply).rejects.toMatchObject({
      code: "CONNECT_FAILED",
      message: expect.stringContaining("within 1000 ms"),
    });
  });

  test("after several failed connects is held back for a while", async () => {
    const clock = new FakeClock();
    const server = await TestServer.http(() => undefined);
    const endpoint = server.endpoint();
    await server[Symbol.asyncDispose]();
    await using caller = new TestCaller([endpoint], { clock });
    for (let call = 0; call < 6; call++)
      await expect(caller.begin().reply).rejects.toMatchObject({ code: "CONNECT_FAILED" });
    expect(caller.transport.counters).toMatchObject({ connectFailures: 5, connectsHeldBack: 1 });
    clock.advance(1_000);
    await expect(caller.begin().reply).rejects.toMatchObject({ code: "CONNECT_FAILED" });
    expect(caller.transport.counters.connectFailures).toBe(6);
  });
});

test("control headers of a peer that proved nothing are taken out and change nothing", async () => {
  await using server = await TestServer.http((_request, response) => {
    response.writeHead(503, {
      "tulle-refused": "unprocessed",
      "Tulle-Drain": "1",
      "tulle-retried": "1",
      "x-other": "2",
    });
    response.end();
  });
  await using caller = new TestCaller([server.endpoint()]);
  const { attempt, reply } = caller.begin();
  const got = await reply;
  got.discard();
  expect(Object.keys(got.headers)).not.toContain("tulle-refused");
  expect(Object.keys(got.headers)).not.toContain("tulle-retried");
  expect(got.rawHeaders.map((each) => String(each).toLowerCase())).not.toContain("tulle-drain");
  expect(got.headers["x-other"]).toBe("2");
  expect([attempt.progress, attempt.retriedBelow]).toEqual(["answered", false]);
  expect(caller.endpoints.subset(undefined)).toHaveLength(1);
});
