import type { ServerResponse } from "node:http";
import { FakeClock } from "@tulle/testing";
import { Watchable } from "@tulle/time";
import { describe, expect, test, vi } from "vitest";
import { affordsLosers } from "../src/layers/pick-endpoint.ts";
import { MAX_CONCURRENT_CONNECTS, REPLACEMENT_BURST } from "../src/transport/handshake-limit.ts";
import { clientOf, serve, snapshotOf } from "./mesh-of-servers.ts";
import { poolPolicy, reviewsAt, TestCaller, TestServer, textOf } from "./transport-kit.ts";

/** A server that answers when the test says so. */
const serveOnDemand = async () => {
  const waiting: ServerResponse[] = [];
  const server = await TestServer.http((_request, response) => void waiting.push(response));
  const heard = (calls: number) => vi.waitFor(() => expect(waiting).toHaveLength(calls));
  return { server, waiting, heard };
};

const giveUp = ({ call, reply }: ReturnType<TestCaller["begin"]>): void => {
  reply.catch(() => undefined);
  call.cancel.cancel("over");
};

describe("calls to one destination", () => {
  test("wait for a connection while all are busy, and beyond maxPendingRequests fail with OVERFLOW_PENDING", async () => {
    const { server, waiting, heard } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()], {
      policy: { maxConnectionsPerEndpoint: 2, maxPendingRequests: 3 },
    });
    const calls = Array.from({ length: 5 }, () => caller.begin());
    await expect(caller.begin().reply).rejects.toMatchObject({ code: "OVERFLOW_PENDING", flag: "UO", status: 503 });
    expect(caller.usage).toMatchObject({ requests: 2, pending: 3 });
    expect(caller.transport.counters).toMatchObject({ pendingOverflows: 1, connectionOverflows: 0 });
    await heard(2);
    waiting[0]?.end("first");
    expect(await textOf(await calls[0]!.reply)).toBe("first");
    await heard(3);
    expect(caller.usage).toMatchObject({ requests: 2, pending: 2 });
    for (const each of calls.slice(1)) giveUp(each);
    await vi.waitFor(() => expect(caller.usage).toMatchObject({ requests: 0, pending: 0 }));
    expect(caller.endpoints.all()[0]?.pool.active).toBe(0);
  });

  test("are served in their order", async () => {
    const order: string[] = [];
    await using server = await TestServer.http((request, response) => {
      order.push(request.url ?? "");
      response.end("ok");
    });
    await using caller = new TestCaller([server.endpoint()], { policy: { maxConnectionsPerEndpoint: 1 } });
    const paths = Array.from({ length: 20 }, (_, number) => `/${number}`);
    await Promise.all(paths.map((path) => caller.text({ path })));
    expect(order).toEqual(paths);
  });

  test("that are given up while they wait make room at once", async () => {
    const { server } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()], {
      policy: { maxConnectionsPerEndpoint: 1, maxPendingRequests: 1 },
    });
    const first = caller.begin();
    giveUp(caller.begin());
    const next = caller.begin();
    await expect(caller.begin().reply).rejects.toMatchObject({ code: "OVERFLOW_PENDING" });
    giveUp(next);
    giveUp(first);
  });

  test("fail with OVERFLOW_CONNECTIONS when no connection is left and none may wait", async () => {
    const { server } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()], { policy: { maxConnections: 2, maxPendingRequests: 0 } });
    const calls = [caller.begin(), caller.begin()];
    await expect(caller.begin().reply).rejects.toMatchObject({ code: "OVERFLOW_CONNECTIONS", flag: "UO" });
    expect(caller.transport.counters).toMatchObject({ connectionOverflows: 1, connectionsAtLimit: 1 });
    for (const each of calls) giveUp(each);
  });

  test("share maxConnections over all endpoints, but each endpoint may have a first one", async () => {
    const [one, other] = [await serveOnDemand(), await serveOnDemand()];
    await using _one = one.server;
    await using _other = other.server;
    await using caller = new TestCaller([one.server.endpoint(), other.server.endpoint()], {
      policy: { maxConnections: 2 },
    });
    const calls = [caller.begin(), caller.begin(), caller.begin(), caller.begin({ to: 1 }), caller.begin({ to: 1 })];
    await one.heard(2);
    await other.heard(1);
    expect(caller.usage).toMatchObject({ requests: 3, pending: 2 });
    one.waiting[0]?.end("ok");
    other.waiting[0]?.end("ok");
    await textOf(await calls[0]!.reply);
    await textOf(await calls[3]!.reply);
    await other.heard(2);
    await one.heard(3);
    expect(caller.transport.counters.connections).toBe(3);
    for (const each of calls) giveUp(each);
  });

  test("beyond maxRequests fail with OVERFLOW_REQUESTS at once, until a reply is over", async () => {
    const { server, waiting, heard } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()], { policy: { maxRequests: 2 } });
    const calls = [caller.begin(), caller.begin()];
    await expect(caller.begin().reply).rejects.toMatchObject({ code: "OVERFLOW_REQUESTS", flag: "UO" });
    await heard(2);
    waiting[0]?.write("begin");
    await calls[0]!.reply;
    await expect(caller.begin().reply).rejects.toMatchObject({ code: "OVERFLOW_REQUESTS" });
    waiting[0]?.end();
    await textOf(await calls[0]!.reply);
    giveUp(caller.begin());
    giveUp(calls[1]!);
    expect(caller.transport.counters.requestOverflows).toBe(2);
  });
});

test("bounds of a destination change with the policy, and what is under way still counts", async () => {
  const waiting: ServerResponse[] = [];
  await using server = await serve((_request, response) => void waiting.push(response));
  const snapshot = (maxRequests: number) =>
    snapshotOf({ reviews: { endpoints: [server.endpoint], policy: { connectionPool: { maxRequests } } } });
  const outbound = new Watchable(snapshot(2));
  await using client = clientOf(outbound);
  const call = () => client.request("http://reviews/").then(({ body }) => body.text());
  const first = call();
  await vi.waitFor(() => expect(waiting).toHaveLength(1));
  outbound.set(snapshot(1));
  await expect(call()).rejects.toMatchObject({ code: "OVERFLOW_REQUESTS", status: 503 });
  outbound.set(snapshot(2));
  const second = call();
  await vi.waitFor(() => expect(waiting).toHaveLength(2));
  for (const response of waiting) response.end("ok");
  expect(await Promise.all([first, second])).toEqual(["ok", "ok"]);
});

test("a subset has bounds of its own", async () => {
  const waiting: ServerResponse[] = [];
  await using server = await serve((_request, response) => void waiting.push(response), { version: "v1" });
  await using client = clientOf(
    snapshotOf({
      reviews: {
        endpoints: [server.endpoint],
        policy: { subsets: { v1: { version: "v1" } }, connectionPool: { maxRequests: 1 } },
        routes: [
          {
            kind: "Route",
            name: "reviews",
            services: ["reviews"],
            rules: [{ match: [{ path: { prefix: "/v1" } }], split: [{ subset: "v1" }] }],
          },
        ],
      },
    }),
  );
  const calls = [client.request("http://reviews/v1"), client.request("http://reviews/")];
  await vi.waitFor(() => expect(waiting).toHaveLength(2));
  await expect(client.request("http://reviews/v1")).rejects.toMatchObject({
    code: "OVERFLOW_REQUESTS",
    message: expect.stringContaining("default/reviews:v1"),
  });
  for (const response of waiting) response.end();
  for (const { body } of await Promise.all(calls)) await body.dump();
});

describe("handshakes with one endpoint", () => {
  test("are bounded in number at once, and those who wait share what is made", async () => {
    await using server = await TestServer.http((_request, response) => response.end("ok"));
    await using caller = new TestCaller([server.endpoint()]);
    const calls = Array.from({ length: MAX_CONCURRENT_CONNECTS + 20 }, () => caller.text());
    expect(caller.usage).toMatchObject({ requests: MAX_CONCURRENT_CONNECTS, pending: 20 });
    expect(caller.transport.counters.connectsDeferred).toBeGreaterThan(0);
    expect(await Promise.all(calls)).toEqual(calls.map(() => "ok"));
  });

  test("that replace sockets lost to aborts are bounded in their rate", async () => {
    const clock = new FakeClock();
    await using server = await TestServer.http(() => undefined);
    await using caller = new TestCaller([server.endpoint()], { clock });
    const pool = caller.endpoints.all()[0]!.pool;
    const abortOne = async () => {
      const begun = caller.begin();
      await vi.waitFor(() => expect(begun.attempt.progress).toBe("sent"), { interval: 1 });
      giveUp(begun);
    };
    for (let abort = 0; abort <= REPLACEMENT_BURST; abort++) await abortOne();
    expect(pool.affordsAbort(clock.now())).toBe(false);
    // So no hedge is begun for a call that may have to give up an attempt there.
    const toIt = caller.begin();
    toIt.attempt.endpoint = caller.endpoints.all()[0]!.endpoint.id;
    const { endpoints } = caller;
    expect(affordsLosers({ endpoints, labels: undefined }, toIt.call, clock.now())).toBe(false);
    toIt.attempt.endpoint = "another";
    expect(affordsLosers({ endpoints, labels: undefined }, toIt.call, clock.now())).toBe(true);
    giveUp(toIt);
    expect(caller.transport.counters.connections).toBe(REPLACEMENT_BURST + 1);
    const late = caller.begin();
    expect(caller.usage).toMatchObject({ requests: 0, pending: 1 });
    clock.advance(20);
    await vi.waitFor(() => expect(late.attempt.progress).toBe("sent"));
    giveUp(late);
    clock.advance(10_000);
    expect(pool.affordsAbort(clock.now())).toBe(true);
  });
});

test("the connections of a service whose policy changed finish what they have", async () => {
  const { server, waiting, heard } = await serveOnDemand();
  await using _ = server;
  await using caller = new TestCaller([server.endpoint()]);
  const first = caller.begin();
  await heard(1);
  caller.endpoints.update(reviewsAt([server.endpoint()]), { ...poolPolicy, keepAliveMs: 1_000 });
  const second = caller.begin();
  await heard(2);
  for (const response of waiting) response.end("ok");
  expect([await textOf(await first.reply), await textOf(await second.reply)]).toEqual(["ok", "ok"]);
  expect(caller.transport.counters.connections).toBe(2);
});
