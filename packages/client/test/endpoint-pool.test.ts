import { AsyncLocalStorage } from "node:async_hooks";
import type { ServerResponse } from "node:http";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test, vi } from "vitest";
import { CLOSE_GRACE_MS, DEPARTED_GRACE_MS } from "../src/endpoints/endpoint-set.ts";
import { poolPolicy, reviewsAt, TestCaller, TestServer, textOf } from "./transport-kit.ts";

/** A server that answers when the test says so. */
const serveOnDemand = async () => {
  const waiting: ServerResponse[] = [];
  const server = await TestServer.http((_request, response) => void waiting.push(response));
  return { server, waiting };
};

describe("an endpoint that leaves", () => {
  test("lets its calls finish, then closes its connections", async () => {
    const { server, waiting } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()]);
    const { reply } = caller.begin();
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    const closed = new Promise((resolve) => waiting[0]?.socket?.once("close", resolve));
    caller.endpoints.update(reviewsAt([]), poolPolicy);
    waiting[0]?.end("whole");
    expect(await textOf(await reply)).toBe("whole");
    await closed;
  });

  test("is cut off when its calls do not end in time", async () => {
    const clock = new FakeClock();
    const { server, waiting } = await serveOnDemand();
    await using _ = server;
    await using caller = new TestCaller([server.endpoint()], { clock });
    const { reply } = caller.begin();
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    caller.endpoints.update(reviewsAt([]), poolPolicy);
    clock.advance(DEPARTED_GRACE_MS);
    await expect(reply).rejects.toMatchObject({ code: "CONNECTION_TERMINATED" });
    expect(caller.transport.counters.drainsCutOff).toBe(1);
  });

  test("closes its idle connections at once when it drains, and is called over new ones when it comes back", async () => {
    await using server = await TestServer.http((_request, response) => response.end("ok"));
    const closed = new Promise((resolve) =>
      server.server.once("connection", (socket) => socket.once("close", resolve)),
    );
    await using caller = new TestCaller([server.endpoint()]);
    await caller.text();
    caller.endpoints.update(reviewsAt([server.endpoint({ health: "draining" })]), poolPolicy);
    await closed;
    caller.endpoints.update(reviewsAt([server.endpoint()]), poolPolicy);
    expect(await caller.text()).toBe("ok");
    expect(caller.transport.counters.connections).toBe(2);
  });
});

test("connections are retired at their greatest age, and calls go on over new ones", async () => {
  const clock = new FakeClock();
  const sockets = new Set<unknown>();
  await using server = await TestServer.http((request, response) => {
    sockets.add(request.socket);
    response.end("ok");
  });
  await using caller = new TestCaller([server.endpoint()], {
    clock,
    policy: { maxAgeMs: 60_000, maxConnectionsPerEndpoint: 1 },
  });
  await caller.text();
  // Used often enough that none is retired for its idleness.
  for (let atMs = 2_000; atMs < 60_000 * 0.9; atMs += 2_000) {
    clock.advance(2_000);
    await caller.text();
  }
  expect(sockets.size).toBe(1);
  clock.advance(60_000 * 0.2 + 2_000);
  await caller.text();
  expect(sockets.size).toBe(2);
});

test("closing the set waits for calls under way, but not for ever", async () => {
  const clock = new FakeClock();
  const { server, waiting } = await serveOnDemand();
  await using _ = server;
  await using caller = new TestCaller([server.endpoint()], { clock });
  const reply = caller.begin().reply.catch((error: unknown) => error);
  await vi.waitFor(() => expect(waiting).toHaveLength(1));
  const closing = caller.endpoints.close();
  clock.advance(CLOSE_GRACE_MS);
  await closing;
  expect(await reply).toMatchObject({ code: "CONNECTION_TERMINATED" });
  expect(clock.pendingTimers).toBe(0);
});

test("sockets and timers do not live in the context of the call that caused them", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  await using server = await TestServer.http((_request, response) => response.end("ok"));
  const clock = new FakeClock();
  await using caller = new TestCaller([server.endpoint()], {
    clock: {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      after: (delayMs, fire) => {
        seen.push(storage.getStore());
        return clock.after(delayMs, fire);
      },
    },
  });
  await storage.run("visit", async () => {
    await caller.text();
    expect(storage.getStore()).toBe("visit");
    caller.endpoints.markDraining(caller.endpoints.all()[0]!.endpoint.id);
  });
  expect(seen.length).toBeGreaterThan(1);
  expect(new Set(seen)).toEqual(new Set([undefined]));
});

test("calls that queue on one connection each resume in their own context", async () => {
  const storage = new AsyncLocalStorage<number>();
  await using server = await TestServer.http((_request, response) => response.end("ok"));
  await using caller = new TestCaller([server.endpoint()], { policy: { maxConnectionsPerEndpoint: 1 } });
  const contexts = await Promise.all(
    Array.from({ length: 20 }, (_, number) =>
      storage.run(number, async () => {
        await caller.text();
        return storage.getStore();
      }),
    ),
  );
  expect(contexts).toEqual(Array.from({ length: 20 }, (_, number) => number));
});
