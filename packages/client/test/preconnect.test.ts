import { get, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Credentials, Endpoint } from "@tulle/policy";
import { createTestAuthority, FakeClock } from "@tulle/testing";
import { Watchable } from "@tulle/time";
import { describe, expect, test, vi } from "vitest";
import { NEW_ENDPOINT_SPREAD_MS } from "../src/endpoints/connect-new-endpoints.ts";
import { clientOf, serve, snapshotOf } from "./mesh-of-servers.ts";
import { poolPolicy, reviewsAt, TestCaller, TestServer, textOf } from "./transport-kit.ts";

/** A server that answers when the test says so, and tells which connections it has and which were closed. */
const serveOnDemand = async () => {
  const waiting: ServerResponse[] = [];
  const sockets: Socket[] = [];
  const server = await TestServer.http((_request, response) => void waiting.push(response));
  server.server.on("connection", (socket: Socket) => sockets.push(socket));
  return {
    server,
    waiting,
    heard: (calls: number) => vi.waitFor(() => expect(waiting).toHaveLength(calls)),
    accepted: (connections: number) => vi.waitFor(() => expect(sockets).toHaveLength(connections)),
    open: () => sockets.filter(({ destroyed }) => !destroyed).length,
    sockets,
  };
};

const giveUp = ({ call, reply }: ReturnType<TestCaller["begin"]>): void => {
  reply.catch(() => undefined);
  call.cancel.cancel("over");
};

const idleOf = (caller: TestCaller): number => caller.transport.idle.size;

describe("with a preconnect ratio", () => {
  test("of 1.5 two calls have three connections, and the third call takes the one that is there", async () => {
    const { server, waiting, heard, accepted } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()], { policy: { preconnectRatio: 1.5 } });
    const calls = [caller.begin(), caller.begin()];
    await heard(2);
    await accepted(3);
    await vi.waitFor(() => expect(idleOf(caller)).toBe(1));
    calls.push(caller.begin());
    expect(idleOf(caller)).toBe(0);
    await heard(3);
    for (const response of waiting) response.end("ok");
    expect(await Promise.all(calls.map(async ({ reply }) => textOf(await reply)))).toEqual(["ok", "ok", "ok"]);
    // Three calls want five: all but the first call's own were made ahead.
    await accepted(5);
    expect(caller.transport.counters.preconnects).toBe(4);
  });

  test("a call that finds none idle takes one that is being made, and opens no other for itself", async () => {
    const { server, waiting, heard, accepted } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()], {
      policy: { preconnectRatio: 2, maxConnectionsPerEndpoint: 2 },
    });
    const calls = [caller.begin(), caller.begin()];
    expect(caller.usage).toMatchObject({ requests: 2, pending: 0 });
    await heard(2);
    await accepted(2);
    expect(caller.transport.counters).toMatchObject({ preconnects: 1, connections: 2 });
    for (const response of waiting) response.end("ok");
    for (const { reply } of calls) expect(await textOf(await reply)).toBe("ok");
  });

  test("no bound is passed: connections of the endpoint, of the service, handshakes at a time", async () => {
    const { server, heard } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint(), server.endpoint({ id: "other" })], {
      policy: { preconnectRatio: 3, maxConnectionsPerEndpoint: 4, maxConnections: 6 },
    });
    const calls = [caller.begin(), caller.begin(), caller.begin({ to: 1 }), caller.begin({ to: 1 })];
    await heard(4);
    await vi.waitFor(() => expect(idleOf(caller)).toBe(2));
    expect(caller.transport.counters).toMatchObject({ connections: 6, connectionsAtLimit: 0, connectsDeferred: 0 });
    for (const each of calls) giveUp(each);
  });

  test("what nobody uses is closed when its idle time is over", async () => {
    const clock = new FakeClock();
    const { server, waiting, heard, accepted, open } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()], { clock, policy: { preconnectRatio: 2 } });
    const call = caller.begin();
    await heard(1);
    await accepted(2);
    await vi.waitFor(() => expect(idleOf(caller)).toBe(1));
    clock.advance(poolPolicy.keepAliveMs);
    await vi.waitFor(() => expect(open()).toBe(1));
    expect(idleOf(caller)).toBe(0);
    waiting[0]?.end("ok");
    expect(await textOf(await call.reply)).toBe("ok");
  });

  test("one that its peer closes is dropped, and one on which the peer says something unasked is not used", async () => {
    const { server, waiting, heard, accepted, sockets } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()], {
      policy: { preconnectRatio: 3, maxConnectionsPerEndpoint: 3 },
    });
    const first = caller.begin();
    await heard(1);
    await accepted(3);
    await vi.waitFor(() => expect(idleOf(caller)).toBe(2));
    const spare = sockets.filter((socket) => socket !== waiting[0]?.socket);
    spare[0]?.destroy();
    await vi.waitFor(() => expect(idleOf(caller)).toBe(1));
    spare[1]?.end("HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n");
    await new Promise((resolve) => spare[1]?.once("finish", resolve));
    const second = caller.begin();
    await heard(2);
    for (const response of waiting) response.end("ok");
    expect([await textOf(await first.reply), await textOf(await second.reply)]).toEqual(["ok", "ok"]);
  });

  test("an endpoint that drains or leaves closes what was made ahead, also what is still being made", async () => {
    const { server, waiting, heard, accepted, open } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()], { policy: { preconnectRatio: 3 } });
    const call = caller.begin();
    caller.endpoints.markDraining(caller.endpoints.all()[0]!.endpoint.id);
    await heard(1);
    waiting[0]?.end("ok");
    expect(await textOf(await call.reply)).toBe("ok");
    await vi.waitFor(() => expect(open()).toBe(0));
    caller.begin().reply.catch(() => undefined);
    await accepted(6);
    caller.endpoints.update(reviewsAt([]), poolPolicy);
    await heard(2);
    waiting[1]?.end("ok");
    await vi.waitFor(() => expect(open()).toBe(0));
  });

  test("a connection that fails before a call asked for it harms none, and no more are made until one succeeds", async () => {
    const sockets: Socket[] = [];
    const server = await TestServer.on(
      createTcpServer((socket) => {
        sockets.push(socket);
        socket.on("error", () => undefined);
      }),
    );
    await using _ = server;
    const authority = await createTestAuthority("cluster.local");
    const credentials = new Watchable<Credentials | undefined>(
      await authority.issue({ serviceAccount: "productpage" }),
    );
    await using caller = new TestCaller([server.endpoint({ transport: "mtls" })], {
      credentials,
      policy: { preconnectRatio: 2 },
    });
    const call = caller.begin();
    await vi.waitFor(() => expect(sockets).toHaveLength(2));
    // The second is the one made ahead: its failure is nobody's.
    sockets[1]?.destroy();
    await vi.waitFor(() => expect(caller.transport.counters.preconnectFailures).toBe(1));
    expect(call.attempt.code).toBeUndefined();
    const next = caller.begin();
    await vi.waitFor(() => expect(sockets).toHaveLength(3));
    expect(caller.transport.counters.preconnects).toBe(1);
    for (const socket of sockets) socket.destroy();
    await expect(call.reply).rejects.toMatchObject({ code: "CONNECT_FAILED" });
    await expect(next.reply).rejects.toMatchObject({ code: "CONNECT_FAILED" });
  });

  test("no call travels under credentials that were exchanged after its connection was made", async () => {
    const authority = await createTestAuthority("cluster.local");
    const shown: (string | undefined)[] = [];
    const mine = await authority.issue({ serviceAccount: "reviews" });
    await using server = await TestServer.https(
      { key: mine.privateKey, cert: mine.certificateChain, ca: [authority.root], requestCert: true },
      (request, response) => {
        shown.push((request.socket as TLSSocket).getPeerCertificate().serialNumber);
        response.end("ok");
      },
    );
    const credentials = new Watchable<Credentials | undefined>(
      await authority.issue({ serviceAccount: "productpage" }),
    );
    await using caller = new TestCaller([server.endpoint({ transport: "mtls" })], {
      credentials,
      policy: { preconnectRatio: 3 },
    });
    await caller.text();
    await vi.waitFor(() => expect(idleOf(caller)).toBe(3));
    credentials.set(await authority.issue({ serviceAccount: "productpage" }));
    await Promise.all([caller.text(), caller.text(), caller.text()]);
    expect(new Set(shown.slice(1)).size).toBe(1);
    expect(shown[1]).not.toBe(shown[0]);
  });

  test("requests of node:http have connections made ahead too", async () => {
    await using server = await serve((_request, response) => response.end("ok"));
    const policy = { connectionPool: { preconnectPolicy: { perUpstreamPreconnectRatio: 2 } } } as const;
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint], policy } }));
    await new Promise((resolve) =>
      get("http://reviews/", { agent: client.agent }, (response) => response.resume().on("end", resolve)),
    );
    await vi.waitFor(() => expect(client.counters()).toMatchObject({ preconnects: 1, connections: 2 }));
  });
});

describe("with newEndpoints", () => {
  const policy = { connectNewEndpoints: true };

  test("an endpoint is connected when it appears, and its first call pays no handshake", async () => {
    const clock = new FakeClock();
    await using server = await TestServer.http((_request, response) => response.end("ok"));
    await using caller = new TestCaller([server.endpoint()], { clock, policy });
    expect(caller.transport.counters.connections).toBe(0);
    clock.advance(NEW_ENDPOINT_SPREAD_MS);
    await vi.waitFor(() => expect(idleOf(caller)).toBe(1));
    expect(await caller.text()).toBe("ok");
    expect(caller.transport.counters).toMatchObject({ connections: 1, preconnects: 1 });
  });

  test("one that comes back is connected again, one that left before its time is not", async () => {
    const clock = new FakeClock();
    const { server, accepted } = await serveOnDemand();
    await using _ = server;
    const effective = { ...poolPolicy, ...policy };
    await using caller = new TestCaller([server.endpoint({ health: "draining" })], { clock, policy });
    clock.advance(NEW_ENDPOINT_SPREAD_MS);
    caller.endpoints.update(reviewsAt([server.endpoint()]), effective);
    caller.endpoints.update(reviewsAt([]), effective);
    clock.advance(NEW_ENDPOINT_SPREAD_MS);
    expect(clock.pendingTimers).toBe(0);
    caller.endpoints.update(reviewsAt([server.endpoint({ health: "unhealthy" })]), effective);
    caller.endpoints.update(reviewsAt([server.endpoint()]), effective);
    clock.advance(NEW_ENDPOINT_SPREAD_MS);
    await accepted(1);
    expect(caller.transport.counters.preconnects).toBe(1);
  });

  test("a large service gets 20 at once, and a process makes 16 at a time", async () => {
    const clock = new FakeClock();
    const sockets: Socket[] = [];
    // Handshakes that take as long as the test.
    const server = await TestServer.on(
      createTcpServer((socket) => void sockets.push(socket.on("error", () => undefined))),
    );
    await using _ = server;
    const authority = await createTestAuthority("cluster.local");
    const credentials = new Watchable<Credentials | undefined>(
      await authority.issue({ serviceAccount: "productpage" }),
    );
    const endpoints: Endpoint[] = Array.from({ length: 100 }, (_, place) =>
      server.endpoint({ id: `reviews-${place}`, transport: "mtls" }),
    );
    await using caller = new TestCaller(endpoints, { clock, credentials, policy });
    clock.advance(NEW_ENDPOINT_SPREAD_MS);
    await vi.waitFor(() => expect(sockets).toHaveLength(16));
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(() => expect(sockets).toHaveLength(20));
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(() => expect(caller.transport.counters.preconnectFailures).toBe(20));
  });
});
