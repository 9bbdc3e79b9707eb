import { once } from "node:events";
import { request, type Server } from "node:http";
import { text } from "node:stream/consumers";
import { FakeClock } from "@tulle/testing";
import { Watchable } from "@tulle/time";
import { describe, expect, test, vi } from "vitest";
import type { Client } from "../src/create-client.ts";
import { clientOf, serve, snapshotOf } from "./mesh-of-servers.ts";
import { TestCaller, TestServer } from "./transport-kit.ts";

const faces: Record<string, (client: Client, url: string) => Promise<string>> = {
  fetch: async (client, url) => (await client.fetch(url)).text(),
  agent: async (client, url) => {
    const [response] = await once(request(url, { agent: client.agent }).end(), "response");
    return text(response);
  },
};

const openAt = (server: Server): Promise<number> =>
  new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));

/** A server that says which connection a call came by. */
const servePorts = () => serve((incoming, response) => response.end(String(incoming.socket.remotePort)));

describe.each(Object.entries(faces))("by %s", (_face, ask) => {
  test("a connection is closed after maxRequestsPerConnection calls, and no call fails of it", async () => {
    await using server = await servePorts();
    const policy = { connectionPool: { maxRequestsPerConnection: 3 } } as const;
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint], policy } }));
    const ports: string[] = [];
    for (let call = 0; call < 10; call++) ports.push(await ask(client, "http://reviews/"));
    const calls = Map.groupBy(ports, (port) => port);
    expect([...calls.values()].map(({ length }) => length)).toEqual([3, 3, 3, 1]);
    expect(client.counters()).toMatchObject({ connectionsUsedUp: 3, connections: 4, retries: 0, unsentReplays: 0 });
    await vi.waitFor(() => expect(openAt(server.server)).resolves.toBe(1));
  });

  test("with maxRequestsPerConnection of 1 each call has a connection of its own, also one that waited", async () => {
    await using server = await servePorts();
    const policy = { connectionPool: { maxRequestsPerConnection: 1, maxConnectionsPerEndpoint: 2 } } as const;
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint], policy } }));
    const ports = await Promise.all(Array.from({ length: 12 }, () => ask(client, "http://reviews/")));
    expect(new Set(ports).size).toBe(12);
    await vi.waitFor(() => expect(openAt(server.server)).resolves.toBe(0));
  });

  test("a process keeps maxIdleConnections; beyond, the longest idle one goes and a busy one never", async () => {
    const held = Promise.withResolvers<void>();
    await using server = await serve(async (incoming, response) => {
      if (incoming.url === "/held") await held.promise;
      response.end(String(incoming.socket.remotePort));
    });
    const names = Array.from({ length: 12 }, (_, place) => `service-${place}`);
    const policy = { connectionPool: { keepAlive: "1h" } } as const;
    const services = names.map((name) => [name, { endpoints: [{ ...server.endpoint, id: name }], policy }]);
    await using client = clientOf(snapshotOf(Object.fromEntries(services)), { maxIdleConnections: 4 });
    const busy = ask(client, "http://service-0/held");
    const ports = new Map<string, string>();
    for (const name of names.slice(1)) ports.set(name, await ask(client, `http://${name}/`));
    await vi.waitFor(() => expect(openAt(server.server)).resolves.toBe(5));
    expect(client.counters().idleOverflows).toBe(7);
    for (const name of names.slice(-4)) expect(await ask(client, `http://${name}/`)).toBe(ports.get(name));
    expect(await ask(client, "http://service-1/")).not.toBe(ports.get("service-1"));
    held.resolve();
    expect(await busy).toBeTruthy();
  });

  test("an endpoint that departs while its connections are idle keeps none", async () => {
    await using server = await servePorts();
    const mesh = (endpoints: readonly (typeof server.endpoint)[]) =>
      snapshotOf({ reviews: { endpoints, policy: { connectionPool: { keepAlive: "1h" } } } });
    const snapshot = new Watchable(mesh([server.endpoint]));
    await using client = clientOf(snapshot);
    await ask(client, "http://reviews/");
    expect(await openAt(server.server)).toBe(1);
    snapshot.set(mesh([]));
    await vi.waitFor(() => expect(openAt(server.server)).resolves.toBe(0));
  });
});

test("the age at which connections are retired differs from endpoint to endpoint by 10 % at most", async () => {
  const clock = new FakeClock();
  const maxAgeMs = 100_000;
  await using server = await TestServer.http((incoming, response) => response.end(String(incoming.socket.remotePort)));
  const endpoints = Array.from({ length: 8 }, (_, place) => server.endpoint({ id: `reviews-${place}` }));
  await using caller = new TestCaller(endpoints, { clock, policy: { maxAgeMs } });
  const ports = await Promise.all(endpoints.map((_, to) => caller.text({ to })));
  const ages = new Map<number, number>();
  while (ages.size < endpoints.length) {
    clock.advance(1_000);
    for (const [to] of endpoints.entries()) {
      const port = await caller.text({ to });
      if (!ages.has(to) && port !== ports[to]) ages.set(to, clock.now());
    }
  }
  const sorted = [...ages.values()].toSorted((one, other) => one - other);
  expect(sorted[0]).toBeGreaterThanOrEqual(maxAgeMs * 0.9);
  expect(sorted.at(-1)).toBeLessThanOrEqual(maxAgeMs * 1.1 + 1_000);
  expect(new Set(sorted).size).toBeGreaterThan(endpoints.length / 2);
});
