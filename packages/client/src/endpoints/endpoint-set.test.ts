import type { EffectiveConnectionPool, Endpoint, ServiceSnapshot } from "@tulle/policy";
import { FakeClock, seededRandom } from "@tulle/testing";
import { constant } from "@tulle/time";
import { beforeEach, describe, expect, test } from "vitest";
import { DestinationUsage } from "../transport/destination-usage.ts";
import { createTransport } from "../transport/transport.ts";
import { createEndpointSet, DRAIN_HINT_MS, type EndpointSet } from "./endpoint-set.ts";
import { stateOf } from "./endpoint-state.ts";

const pool: EffectiveConnectionPool = {
  maxConnections: 4,
  maxConnectionsPerEndpoint: 2,
  maxPendingRequests: 1,
  maxRequests: 10,
  maxConcurrentStreams: 100,
  connectTimeoutMs: 1_000,
  keepAliveMs: 4_000,
  maxAgeMs: 60_000,
  maxRequestsPerConnection: Number.POSITIVE_INFINITY,
  preconnectRatio: 1,
  connectNewEndpoints: false,
};

const endpoint = (id: string, changes: Partial<Endpoint> = {}): Endpoint => ({
  id,
  address: "127.0.0.1",
  port: 9_080,
  transport: "plaintext",
  labels: { version: "v1" },
  health: "healthy",
  serviceAccount: "reviews",
  ...changes,
});

const reviews = (...endpoints: Endpoint[]): ServiceSnapshot => ({
  key: "default/reviews",
  policy: { kind: "Service", name: "reviews" },
  routes: [],
  endpoints,
});

let clock: FakeClock;
let set: EndpointSet;

beforeEach(() => {
  clock = new FakeClock();
  set = createEndpointSet(createTransport({ clock, random: seededRandom(1), credentials: constant(undefined) }));
});

const callable = (labels?: Record<string, string>) => set.subset(labels).map((candidate) => candidate.endpoint.id);

describe("a subset", () => {
  test("holds the endpoints that carry all its labels", () => {
    set.update(reviews(endpoint("a"), endpoint("b", { labels: { version: "v2", zone: "1" } })), pool);
    expect(callable({ version: "v2" })).toEqual(["b"]);
    expect(callable({ version: "v2", zone: "2" })).toEqual([]);
    expect(callable()).toEqual(["a", "b"]);
  });

  test("leaves out draining and unhealthy endpoints, and keeps stale ones", () => {
    set.update(
      reviews(
        endpoint("healthy"),
        endpoint("stale", { health: "stale" }),
        endpoint("draining", { health: "draining" }),
        endpoint("unhealthy", { health: "unhealthy" }),
      ),
      pool,
    );
    expect(callable()).toEqual(["healthy", "stale"]);
    expect(set.all()).toHaveLength(4);
  });

  test("is the same array until something changes", () => {
    const labels = { version: "v1" };
    set.update(reviews(endpoint("a")), pool);
    const before = set.subset(labels);
    expect(set.subset(labels)).toBe(before);
    set.update(reviews(endpoint("a"), endpoint("b")), pool);
    expect(set.subset(labels)).not.toBe(before);
  });
});

describe("an update", () => {
  test("keeps figures and connections of an endpoint that stays at its address, whatever its labels", () => {
    set.update(reviews(endpoint("a")), pool);
    const [before] = set.all();
    set.update(reviews(endpoint("a", { labels: { version: "v2" } })), pool);
    const [after] = set.all();
    expect(after?.figures).toBe(before?.figures);
    expect(after?.pool).toBe(before?.pool);
    expect(after?.endpoint.labels).toEqual({ version: "v2" });
  });

  test("begins anew with an endpoint that moved", () => {
    set.update(reviews(endpoint("a")), pool);
    const [before] = set.all();
    set.update(reviews(endpoint("a", { port: 9_081 })), pool);
    const [after] = set.all();
    expect(after?.figures).not.toBe(before?.figures);
    expect(after?.pool).not.toBe(before?.pool);
  });

  test("with another pool policy keeps figures and pool", () => {
    set.update(reviews(endpoint("a")), pool);
    const [before] = set.all();
    set.update(reviews(endpoint("a")), { ...pool, maxConnectionsPerEndpoint: 3 });
    const [after] = set.all();
    expect(after?.figures).toBe(before?.figures);
    expect(after?.pool).toBe(before?.pool);
  });

  test("measures an endpoint anew that was not callable and comes back", () => {
    set.update(reviews(endpoint("a")), pool);
    const [before] = set.all();
    set.update(reviews(endpoint("a", { health: "unhealthy" })), pool);
    set.update(reviews(endpoint("a")), pool);
    expect(set.all()[0]?.figures).not.toBe(before?.figures);
  });

  test("takes calls from endpoints that left", async () => {
    set.update(reviews(endpoint("a"), endpoint("b")), pool);
    const [a] = set.all();
    set.update(reviews(endpoint("b")), pool);
    expect(callable()).toEqual(["b"]);
    const usage = new DestinationUsage("default/reviews", pool);
    const handler = {
      started: false,
      awaitsReply: false,
      connection: undefined,
      silent: () => undefined,
      refused: () => undefined,
      unprocessed: () => undefined,
    };
    expect(() => a?.pool.dispatch({ path: "/", method: "GET" }, handler, usage, 0)).toThrow(/CONNECT_FAILED.*has left/);
  });
});

describe("an endpoint's own word that it drains", () => {
  test("takes it out at once", () => {
    set.update(reviews(endpoint("a"), endpoint("b")), pool);
    set.markDraining("a");
    expect(callable()).toEqual(["b"]);
  });

  test("outlives updates in which the registry does not know it yet", () => {
    set.update(reviews(endpoint("a"), endpoint("b")), pool);
    set.markDraining("a");
    set.update(reviews(endpoint("a"), endpoint("b"), endpoint("c")), pool);
    expect(callable()).toEqual(["b", "c"]);
  });

  test("leaves it in where it is the only one", () => {
    set.update(reviews(endpoint("a"), endpoint("b", { labels: { version: "v2" } })), pool);
    set.markDraining("a");
    expect(callable({ version: "v1" })).toEqual(["a"]);
  });

  test.each([
    ["moves", [endpoint("a", { port: 9_090 }), endpoint("b")]],
    ["goes and comes back", undefined],
  ])("counts no more when the endpoint %s", (_name, next) => {
    set.update(reviews(endpoint("a"), endpoint("b")), pool);
    set.markDraining("a");
    if (next === undefined) set.update(reviews(endpoint("b")), pool);
    set.update(reviews(...(next ?? [endpoint("a"), endpoint("b")])), pool);
    expect(callable()).toEqual(["a", "b"]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("counts no more when the registry saw it drain and become healthy", () => {
    set.update(reviews(endpoint("a"), endpoint("b")), pool);
    set.markDraining("a");
    set.update(reviews(endpoint("a", { health: "draining" }), endpoint("b")), pool);
    set.update(reviews(endpoint("a"), endpoint("b")), pool);
    expect(callable()).toEqual(["a", "b"]);
  });

  test("is forgotten in time when the registry never confirms it", () => {
    set.update(reviews(endpoint("a"), endpoint("b")), pool);
    set.markDraining("a");
    clock.advance(DRAIN_HINT_MS - 1);
    expect(callable()).toEqual(["b"]);
    clock.advance(1);
    expect(callable()).toEqual(["a", "b"]);
  });

  test("means nothing for an endpoint that is not in the set", () => {
    set.markDraining("nobody");
    expect(clock.pendingTimers).toBe(0);
  });
});

test("a closed set has no endpoints and no timers", async () => {
  set.update(reviews(endpoint("a"), endpoint("b")), pool);
  set.markDraining("a");
  await set.close();
  expect(set.all()).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});

describe("a stale endpoint", () => {
  const stateAfter = (...steps: readonly (Endpoint["health"] | number)[]) => {
    for (const step of steps) {
      if (typeof step === "number") clock.advance(step);
      else {
        const service = reviews(endpoint("a", { health: step }), endpoint("b"));
        set.update({ ...service, policy: { ...service.policy, staleAfter: "1m" } }, pool);
      }
    }
    return stateOf(set.all()[0]!, clock.now());
  };

  test("is called as a healthy one until the policy's time is over, and expired from then on", () => {
    expect(stateAfter("stale", 59_999)).toBe("stale");
    expect(stateAfter(1)).toBe("expired");
  });

  test("has its time from when it became stale, however often the list comes", () => {
    expect(stateAfter("healthy", 60_000, "stale", 30_000, "stale", 30_000)).toBe("expired");
  });

  test("is as any other once the registry has heard of it, and has the whole time when it is stale again", () => {
    expect(stateAfter("stale", 90_000, "healthy")).toBe("healthy");
    expect(stateAfter("stale", 59_999)).toBe("stale");
  });

  test("never expires where the policy says nothing", () => {
    set.update(reviews(endpoint("a", { health: "stale" })), pool);
    clock.advance(1_000_000_000);
    expect(stateOf(set.all()[0]!, clock.now())).toBe("stale");
  });
});
