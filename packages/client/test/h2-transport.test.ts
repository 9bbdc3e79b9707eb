import { once } from "node:events";
import { constants, type ServerHttp2Stream } from "node:http2";
import { connect as connectTcp, createServer as createTcpServer, type Socket } from "node:net";
import type { Credentials } from "@tulle/policy";
import { createTestAuthority, FakeClock } from "@tulle/testing";
import { constant, Watchable } from "@tulle/time";
import { describe, expect, test, vi } from "vitest";
import { RESET_BURST } from "../src/transport/reset-allowance.ts";
import { H2Server, say } from "./h2-server.ts";
import { clientOf, snapshotOf } from "./mesh-of-servers.ts";
import { reviewsAt, TestCaller, TestServer, textOf } from "./transport-kit.ts";

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

const h2 = { protocol: "http2" } as const;

const authority = await createTestAuthority("cluster.local");

describe("streams over sessions", () => {
  test("a thousand calls at once share a few sessions, and none begins more streams than are allowed", async () => {
    await using server = await H2Server.serving((stream) => void setImmediate(() => say(stream, "hello")), {
      settings: { maxConcurrentStreams: 100 },
    });
    await using caller = new TestCaller([server.endpoint()], { ...h2, policy: { maxConcurrentStreams: 100 } });
    const texts = await Promise.all(Array.from({ length: 1_000 }, () => caller.text()));
    expect(new Set(texts)).toEqual(new Set(["hello"]));
    expect(server.sessions.length).toBeLessThanOrEqual(10);
    expect(caller.usage).toMatchObject({ requests: 0, pending: 0 });
  });

  test("a peer that allows one stream gets one at a time on each connection", async () => {
    // A server refuses what it does not allow, and nobody here would try again.
    await using server = await H2Server.serving((stream) => void setImmediate(() => say(stream, "hello")), {
      settings: { maxConcurrentStreams: 1 },
    });
    await using caller = new TestCaller([server.endpoint()], { ...h2, policy: { maxConnectionsPerEndpoint: 3 } });
    const texts = await Promise.all(Array.from({ length: 50 }, () => caller.text()));
    expect(new Set(texts)).toEqual(new Set(["hello"]));
    expect(server.sessions).toHaveLength(3);
  });

  test("calls beyond what may wait are refused", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await H2Server.serving((stream) => void held.push(stream));
    await using caller = new TestCaller([server.endpoint()], {
      ...h2,
      policy: { maxConcurrentStreams: 1, maxConnectionsPerEndpoint: 1, maxPendingRequests: 1 },
    });
    const first = caller.text();
    await vi.waitFor(() => expect(held).toHaveLength(1));
    const second = caller.text();
    await expect(caller.text()).rejects.toThrow(/OVERFLOW_PENDING/);
    for (const stream of held) say(stream, "one");
    await first;
    await vi.waitFor(() => expect(held).toHaveLength(2));
    say(held[1]!, "two");
    expect(await second).toBe("two");
    expect(caller.usage).toMatchObject({ requests: 0, pending: 0 });
  });

  test("a session that has carried as many calls as the policy allows is replaced", async () => {
    await using server = await H2Server.serving((stream) => say(stream, "hello"));
    await using caller = new TestCaller([server.endpoint()], { ...h2, policy: { maxRequestsPerConnection: 2 } });
    for (let call = 0; call < 6; call++) await caller.text();
    expect(server.sessions).toHaveLength(3);
  });

  test("an idle session is ended", async () => {
    const clock = new FakeClock();
    await using server = await H2Server.serving((stream) => say(stream, "hello"));
    await using caller = new TestCaller([server.endpoint()], { ...h2, clock, policy: { keepAliveMs: 60_000 } });
    const call = async (): Promise<void> => {
      await caller.text();
      await vi.waitFor(() => expect(caller.transport.idle.size).toBe(1));
    };
    await call();
    clock.advance(30_000);
    await call();
    clock.advance(59_000);
    await call();
    expect(server.sessions).toHaveLength(1);
    clock.advance(61_000);
    await vi.waitFor(() => expect(server.connections).toBe(0));
    expect(caller.transport.counters.idleRetired).toBe(1);
  });

  test("a session that was retired ends with its last stream, and others begin on a new one", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await H2Server.serving((stream, path) => {
      if (path === "/held") held.push(stream);
      else say(stream, "hello");
    });
    await using caller = new TestCaller([server.endpoint()], h2);
    const long = caller.text({ path: "/held" });
    await vi.waitFor(() => expect(held).toHaveLength(1));
    caller.endpoints.all()[0]?.pool.retireConnections();
    expect(await caller.text()).toBe("hello");
    expect(server.sessions).toHaveLength(2);
    say(held[0]!, "late");
    expect(await long).toBe("late");
    await vi.waitFor(() => expect(server.connections).toBe(1));
  });
});

describe("what a peer does not process", () => {
  /** Refuses the first stream, and answers the others. */
  const refusesFirst = (): Promise<H2Server> => {
    let refused = false;
    return H2Server.serving((stream, path) => {
      if (refused) say(stream, path);
      else stream.close(NGHTTP2_REFUSED_STREAM);
      refused = true;
    });
  };

  test("a refused stream says that nothing was processed", async () => {
    await using server = await refusesFirst();
    await using caller = new TestCaller([server.endpoint()], h2);
    const { attempt, reply } = caller.begin({ method: "POST", body: "order" });
    await expect(reply).rejects.toThrow(/CONNECTION_TERMINATED.*REFUSED_STREAM/);
    expect(attempt.progress).toBe("refused");
    expect(caller.usage.requests).toBe(0);
  });

  test("a POST whose stream was refused is sent again", async () => {
    await using server = await refusesFirst();
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint()], policy: h2 } }));
    const reply = await client.fetch("http://reviews/order", { method: "POST", body: "one" });
    expect([reply.status, await reply.text()]).toEqual([200, "/order"]);
    expect(server.paths).toEqual(["/order", "/order"]);
  });

  test("a POST that was reset after it began is not sent again", async () => {
    await using server = await H2Server.serving((stream) => stream.close(NGHTTP2_INTERNAL_ERROR));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint()], policy: h2 } }));
    await expect(client.fetch("http://reviews/order", { method: "POST", body: "one" })).rejects.toThrow(
      /CONNECTION_TERMINATED/,
    );
    expect(server.paths).toEqual(["/order"]);
  });

  test("streams above the last one of a GOAWAY are sent again, and those below are answered", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await H2Server.serving((stream, path) => {
      if (path === "/held" && held.length < 2) held.push(stream);
      else say(stream, "again");
    });
    await using caller = new TestCaller([server.endpoint()], h2);
    const below = caller.begin({ method: "POST", path: "/held", body: "1" });
    await vi.waitFor(() => expect(held).toHaveLength(1));
    const above = caller.begin({ method: "POST", path: "/held", body: "2" });
    await vi.waitFor(() => expect(held).toHaveLength(2));
    server.sessions[0]?.goaway(NGHTTP2_NO_ERROR, held[0]?.id);
    await expect(above.reply).rejects.toThrow(/CONNECTION_TERMINATED/);
    expect(above.attempt.progress).toBe("refused");
    expect(await caller.text({ path: "/next" })).toBe("again");
    expect(server.sessions).toHaveLength(2);
    say(held[0]!, "first");
    expect(await textOf(await below.reply)).toBe("first");
  });

  test("a GOAWAY with an error tells the same of each stream", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await H2Server.serving((stream) => void held.push(stream));
    await using caller = new TestCaller([server.endpoint()], h2);
    const below = caller.begin({ method: "POST", body: "1" });
    await vi.waitFor(() => expect(held).toHaveLength(1));
    const above = caller.begin({ method: "POST", body: "2" });
    await vi.waitFor(() => expect(held).toHaveLength(2));
    server.sessions[0]?.goaway(NGHTTP2_ENHANCE_YOUR_CALM, held[0]?.id);
    const ended = await Promise.allSettled([below.reply, above.reply]);
    expect(ended.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect([below.attempt.progress, above.attempt.progress]).toEqual(["sent", "refused"]);
  });

  test("calls go on while sessions are ended under them", async () => {
    let answered = 0;
    await using server = await H2Server.serving((stream) => {
      const { session } = stream;
      say(stream, "hello");
      if (++answered % 50 === 0) session?.close();
    });
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint()], policy: h2 } }));
    let done = 0;
    const work = async (): Promise<void> => {
      for (let call = 0; call < 50; call++) {
        const reply = await client.fetch("http://reviews/", { method: "POST", body: "order" });
        if ((await reply.text()) === "hello") done++;
      }
    };
    await Promise.all(Array.from({ length: 10 }, work));
    expect(done).toBe(500);
    expect(server.sessions.length).toBeGreaterThan(2);
  });
});

describe("peers in trouble", () => {
  test("one that never says its SETTINGS is sent nothing, and its calls were not sent", async () => {
    const received: Buffer[] = [];
    await using silent = await TestServer.on(
      createTcpServer((socket) => void socket.on("data", (chunk) => received.push(chunk))),
    );
    await using caller = new TestCaller([silent.endpoint()], { ...h2, policy: { connectTimeoutMs: 100 } });
    const { attempt, reply } = caller.begin({ method: "POST", path: "/secret", body: "order" });
    await expect(reply).rejects.toThrow(/CONNECT_FAILED.*speak HTTP\/2.*within 100 ms/);
    expect(attempt.progress).toBe("not-sent");
    expect(Buffer.concat(received).includes("secret")).toBe(false);
    expect(caller.usage).toMatchObject({ requests: 0, pending: 0 });
  });

  test("one that ends each session with its first words fails its calls, unprocessed, and is not asked again and again", async () => {
    let connections = 0;
    await using leaving = await TestServer.on(
      createTcpServer((socket) => {
        connections++;
        socket.resume().on("error", () => undefined);
        // SETTINGS without any, and GOAWAY that names no stream.
        const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        const goaway = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        socket.write(Buffer.concat([settings, goaway]));
      }),
    );
    await using caller = new TestCaller([leaving.endpoint()], h2);
    const { attempt, reply } = caller.begin({ method: "POST", body: "order" });
    // Whether the stream was begun before the GOAWAY was read is chance; that it was not processed is not.
    await expect(reply).rejects.toThrow(/CONNECT_FAILED.*ended the session|CONNECTION_TERMINATED.*REFUSED_STREAM/);
    expect(["not-sent", "refused"]).toContain(attempt.progress);
    expect(connections).toBe(1);
  });

  test("one that speaks HTTP/1.1 in plaintext fails its calls, unsent", async () => {
    await using old = await TestServer.http((_request, response) => response.end("old"));
    await using caller = new TestCaller([old.endpoint()], h2);
    const { attempt, reply } = caller.begin();
    await expect(reply).rejects.toThrow(/CONNECT_FAILED.*speak HTTP\/2/);
    expect(attempt.progress).toBe("not-sent");
  });

  test("a session that is cut fails its streams, and the next call has a new one", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await H2Server.serving((stream, path) => {
      if (path === "/held") held.push(stream);
      else say(stream, "hello");
    });
    await using caller = new TestCaller([server.endpoint()], h2);
    const cut = [caller.begin({ path: "/held" }), caller.begin({ path: "/held" })];
    await vi.waitFor(() => expect(held).toHaveLength(2));
    server.sessions[0]?.destroy();
    const ended = await Promise.allSettled(cut.map(({ reply }) => reply));
    expect(ended.map((each) => String((each as PromiseRejectedResult).reason))).toEqual([
      expect.stringContaining("CONNECTION_TERMINATED"),
      expect.stringContaining("CONNECTION_TERMINATED"),
    ]);
    expect(cut.map(({ attempt }) => attempt.progress)).toEqual(["sent", "sent"]);
    expect(await caller.text()).toBe("hello");
    expect(caller.usage.requests).toBe(0);
  });

  test("a body that breaks off is no whole one", async () => {
    await using server = await H2Server.serving((stream) => {
      stream.respond({ ":status": 200 });
      stream.write("half", () => stream.session?.destroy());
    });
    await using caller = new TestCaller([server.endpoint()], h2);
    await expect(caller.text()).rejects.toThrow(/REPLY_BROKEN/);
  });

  test("a body that is shorter than was said is no whole one", async () => {
    await using server = await H2Server.serving((stream) => {
      stream.respond({ ":status": 200, "content-length": "10" });
      stream.end("half");
    });
    await using caller = new TestCaller([server.endpoint()], h2);
    await expect(caller.text()).rejects.toThrow(/REPLY_BROKEN/);
  });

  test("one that owes answers and is silent is asked by PING, and left alone while it answers", async () => {
    const clock = new FakeClock();
    const held: ServerHttp2Stream[] = [];
    await using server = await H2Server.serving((stream) => void held.push(stream));
    await using caller = new TestCaller([server.endpoint()], { ...h2, clock });
    const slow = caller.text();
    await vi.waitFor(() => expect(held).toHaveLength(1));
    const pinged = once(server.sessions[0]!, "ping");
    while (caller.transport.counters.silenceProbes === 0) clock.advance(500);
    await pinged;
    expect(caller.transport.counters).toMatchObject({ silenceProbes: 1, silences: 0 });
    say(held[0]!, "at last");
    expect(await slow).toBe("at last");
  });
});

describe("a connection on which nothing comes any more", () => {
  /** Stands before a server; the first connection falls silent when it is told to. */
  const stallingBefore = async (port: number) => {
    let stalled = false;
    const sockets: Socket[] = [];
    const server = await TestServer.on(
      createTcpServer((near) => {
        const isFirst = sockets.length === 0;
        const far = connectTcp({ port, host: "127.0.0.1" });
        sockets.push(near, far);
        const pass = (from: Socket, to: Socket): void => {
          from.on("data", (chunk) => void ((isFirst && stalled) || to.write(chunk)));
          from.on("error", () => undefined);
          from.once("close", () => void to.destroy());
        };
        pass(near, far);
        pass(far, near);
      }),
    );
    return {
      endpoint: server.endpoint(),
      stall: () => {
        stalled = true;
      },
      [Symbol.asyncDispose]: async () => {
        for (const socket of sockets) socket.destroy();
        await server[Symbol.asyncDispose]();
      },
    };
  };

  test("is found by a PING that nobody answers, and no call begins on it", async () => {
    const clock = new FakeClock();
    const held: ServerHttp2Stream[] = [];
    await using server = await H2Server.serving((stream, path) => {
      if (path === "/held") held.push(stream);
      else say(stream, "hello");
    });
    await using network = await stallingBefore(server.endpoint().port);
    await using caller = new TestCaller([network.endpoint], { ...h2, clock });
    const lost = caller.begin({ path: "/held" });
    await vi.waitFor(() => expect(held).toHaveLength(1));
    network.stall();
    while (caller.transport.counters.silenceProbes === 0) clock.advance(500);
    clock.advance(1_000);
    expect(caller.transport.counters).toMatchObject({ silenceProbes: 1, silences: 1 });
    expect(await caller.text()).toBe("hello");
    expect(server.sessions).toHaveLength(2);
    lost.call.cancel.cancel(new Error("enough"));
    await expect(lost.reply).rejects.toThrow("enough");
  });
});

describe("calls that are given up", () => {
  test("cost their stream alone", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await H2Server.serving((stream, path) => {
      if (path === "/held") held.push(stream);
      else say(stream, "hello");
    });
    await using caller = new TestCaller([server.endpoint()], h2);
    const other = caller.text({ path: "/held" });
    const given = caller.begin({ path: "/held" });
    await vi.waitFor(() => expect(held).toHaveLength(2));
    const reset = once(held[1]!, "close");
    given.call.cancel.cancel(new Error("enough"));
    await expect(given.reply).rejects.toThrow("enough");
    await reset;
    expect(held[1]?.rstCode).toBe(constants.NGHTTP2_CANCEL);
    say(held[0]!, "first");
    expect(await other).toBe("first");
    expect(await caller.text()).toBe("hello");
    expect(server.sessions).toHaveLength(1);
    // Its place is free again.
    await vi.waitFor(() => expect(caller.transport.idle.size).toBe(1));
  });

  test("leave a session that servers would soon end for its resets", async () => {
    await using server = await H2Server.serving(() => undefined);
    await using caller = new TestCaller([server.endpoint()], { ...h2, clock: new FakeClock() });
    const giveUp = async (): Promise<void> => {
      const { call, attempt, reply } = caller.begin();
      await vi.waitFor(() => expect(attempt.progress).toBe("sent"), { interval: 1 });
      call.cancel.cancel(new Error("enough"));
      await reply.catch(() => undefined);
      await vi.waitFor(() => expect(caller.transport.idle.size).toBe(1), { interval: 1 });
    };
    for (let each = 0; each < RESET_BURST - 1; each++) await giveUp();
    expect(server.sessions).toHaveLength(1);
    const { call, attempt, reply } = caller.begin();
    expect(attempt.progress).toBe("sent");
    call.cancel.cancel(new Error("enough"));
    await expect(reply).rejects.toThrow("enough");
    await giveUp();
    expect(caller.transport.counters.resetsAtLimit).toBe(1);
    expect(server.sessions).toHaveLength(2);
  });

  test("are withdrawn while their session is made", async () => {
    await using server = await H2Server.serving((stream) => say(stream, "hello"));
    await using caller = new TestCaller([server.endpoint()], h2);
    const { call, reply } = caller.begin();
    call.cancel.cancel(new Error("enough"));
    await expect(reply).rejects.toThrow("enough");
    expect(caller.usage.requests).toBe(0);
    expect(await caller.text()).toBe("hello");
    expect(server.paths).toHaveLength(1);
  });
});

describe("with TLS", () => {
  const serverTls = async () => {
    const shown = await authority.issue({ serviceAccount: "reviews" });
    return { key: shown.privateKey, cert: shown.certificateChain, ca: [authority.root], requestCert: true };
  };
  const credentials = async () => constant(await authority.issue({ serviceAccount: "productpage" }));

  test("a member that speaks HTTP/1.1 alone is called so, whatever was waiting", async () => {
    await using old = await TestServer.https(
      { ...(await serverTls()), ALPNProtocols: ["http/1.1"] },
      (request, response) => response.end(request.httpVersion),
    );
    await using caller = new TestCaller([old.endpoint({ transport: "mtls" })], {
      ...h2,
      credentials: await credentials(),
    });
    const versions = await Promise.all(Array.from({ length: 20 }, () => caller.text()));
    expect(new Set(versions)).toEqual(new Set(["1.1"]));
    expect(caller.transport.counters.http2Fallbacks).toBe(1);
    expect(await caller.text()).toBe("1.1");
    expect(caller.usage).toMatchObject({ requests: 0, pending: 0 });
  });

  test("gRPC is not sent to one that speaks HTTP/1.1 alone", async () => {
    await using old = await TestServer.https(
      { ...(await serverTls()), ALPNProtocols: ["http/1.1"] },
      (_request, response) => response.end(),
    );
    await using caller = new TestCaller([old.endpoint({ transport: "mtls" })], {
      protocol: "grpc",
      credentials: await credentials(),
    });
    await expect(caller.text()).rejects.toThrow(/CONNECT_FAILED.*no HTTP\/2, which calls in gRPC need/);
  });

  test("a peer of another service is refused before anything is sent", async () => {
    const shown = await authority.issue({ serviceAccount: "ratings" });
    await using server = await H2Server.serving(
      (stream) => say(stream, "hello"),
      {},
      {
        key: shown.privateKey,
        cert: shown.certificateChain,
        ca: [authority.root],
        requestCert: true,
      },
    );
    await using caller = new TestCaller([server.endpoint({ transport: "mtls" })], {
      ...h2,
      credentials: await credentials(),
    });
    await expect(caller.text()).rejects.toThrow(/IDENTITY_MISMATCH/);
    expect(server.paths).toEqual([]);
  });

  test("a call that begins after the member's certificate changed has a new session, and the old one finishes", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await H2Server.serving(
      (stream, path) => {
        if (path === "/held") held.push(stream);
        else say(stream, "hello");
      },
      {},
      await serverTls(),
    );
    const shown = new Watchable<Credentials | undefined>(await authority.issue({ serviceAccount: "productpage" }));
    await using caller = new TestCaller([server.endpoint({ transport: "mtls" })], { ...h2, credentials: shown });
    const before = caller.text({ path: "/held" });
    await vi.waitFor(() => expect(held).toHaveLength(1));
    shown.set(await authority.issue({ serviceAccount: "productpage" }));
    expect(await caller.text()).toBe("hello");
    expect(server.sessions).toHaveLength(2);
    say(held[0]!, "late");
    expect(await before).toBe("late");
    await vi.waitFor(() => expect(server.connections).toBe(1));
  });

  test("accounts that lose their right lose their sessions", async () => {
    await using server = await H2Server.serving((stream) => say(stream, "hello"), {}, await serverTls());
    const endpoint = server.endpoint({ transport: "mtls" });
    await using caller = new TestCaller([endpoint], { ...h2, credentials: await credentials() });
    expect(await caller.text()).toBe("hello");
    caller.endpoints.all()[0]?.pool.expect({ namespace: "default", serviceAccounts: ["others"] });
    await expect(caller.text()).rejects.toThrow(/IDENTITY_MISMATCH/);
    expect(reviewsAt([endpoint]).endpoints).toHaveLength(1);
  });
});

describe("what is sent", () => {
  const headersOf = async (
    headers: string[],
    options: { protocol?: "http2" | "grpc" } = {},
  ): Promise<Record<string, unknown>> => {
    let seen: Record<string, unknown> = {};
    await using server = await H2Server.serving((stream, _path, received) => {
      seen = { ...received };
      say(stream, "");
    });
    await using caller = new TestCaller([server.endpoint()], { ...h2, ...options });
    await caller.text({ headers, authority: "reviews:8080" });
    return seen;
  };

  test("the authority goes in place of Host, and what is of a connection stays here", async () => {
    const sent = await headersOf([
      "Connection",
      "keep-alive, x-hop",
      "Keep-Alive",
      "timeout=5",
      "X-Hop",
      "gone",
      "TE",
      "gzip",
      "X-Twice",
      "1",
      "x-twice",
      "2",
    ]);
    expect(sent).toMatchObject({ ":authority": "reviews:8080", "x-twice": "1, 2" });
    for (const name of ["host", "connection", "keep-alive", "x-hop", "te"]) expect(sent).not.toHaveProperty(name);
  });

  test("gRPC says that it takes trailers", async () => {
    expect(await headersOf([], { protocol: "grpc" })).toMatchObject({ te: "trailers" });
  });

  test.each([
    ["a line break in a value", { headers: ["x-a", "1\r\nx-b: 2"] }],
    ["a space in a name", { headers: ["x a", "1"] }],
    ["a pseudo-header", { headers: [":path", "/admin"] }],
    ["a length that is none of the body's", { headers: ["content-length", "3"], body: "four" }],
    ["two lengths", { headers: ["content-length", "4", "content-length", "4"], body: "four" }],
    ["a space in the path", { path: "/a b" }],
    ["two content types", { headers: ["content-type", "a/b", "content-type", "c/d"], body: "x" }],
  ])("%s is the caller's mistake, and nobody's stream", async (_, call) => {
    await using server = await H2Server.serving((stream) => say(stream, "hello"));
    await using caller = new TestCaller([server.endpoint()], h2);
    for (let round = 0; round < 2; round++) {
      await expect(caller.text({ method: "POST", ...call })).rejects.toThrow(/INVALID_CALL/);
      expect(await caller.text()).toBe("hello");
    }
    expect(caller.usage.requests).toBe(0);
    expect(server.sessions).toHaveLength(1);
  });
});
