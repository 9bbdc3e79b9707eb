import { AsyncResource } from "node:async_hooks";
import {
  type Endpoint,
  externalService,
  type ServicePolicy,
  type ServiceSnapshot,
  serviceOfExternal,
} from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { beforeEach, expect, test, vi } from "vitest";
import { ScriptedResolver } from "../../test/outside-kit.ts";
import { MAX_DNS_WAITERS, OutsideEndpoints } from "./outside-endpoints.ts";

let clock: FakeClock;
let resolver: ScriptedResolver;
let told: (readonly Endpoint[])[];
let outside: OutsideEndpoints;

beforeEach(() => {
  clock = new FakeClock();
  resolver = new ScriptedResolver();
  told = [];
  const counters = { dnsQueries: 0, dnsFailures: 0, dnsLastGoodKept: 0, dnsWaits: 0 };
  const kit = { resolver, clock, random: () => 0.5, counters, home: new AsyncResource("test") };
  outside = new OutsideEndpoints(kit, (endpoints) => told.push(endpoints));
});

const answer = (name: string, ...addresses: string[]): void => {
  resolver.answers.set(
    name,
    addresses.map((address) => ({ address, ttlMs: 10_000 })),
  );
};

const external = (hosts: string | readonly string[], fields: object = {}): ServiceSnapshot => {
  const policy = externalService("out", hosts, fields);
  return { key: "default/out", policy: serviceOfExternal(policy), external: policy, routes: [], endpoints: [] };
};

const inside = (policy: Partial<ServicePolicy>, endpoints: readonly Endpoint[] = []): ServiceSnapshot => ({
  key: "default/legacy",
  policy: { kind: "Service", name: "legacy", ...policy },
  routes: [],
  endpoints,
});

const use = async (host: string): Promise<string> => {
  const state = outside.use(host, clock.now());
  await clock.advanceAsync(0);
  return state;
};

test("every address is an endpoint, and one that stays is the same object when others come and go", async () => {
  answer("a.example", "10.0.0.1", "10.0.0.2");
  outside.configure(external("a.example"));
  await use("a.example");
  expect(told[0]?.map(({ id, transport, servername }) => [id, transport, servername])).toEqual([
    ["10.0.0.1:443", "tls", "a.example"],
    ["10.0.0.2:443", "tls", "a.example"],
  ]);
  await use("a.example");
  answer("a.example", "10.0.0.2", "10.0.0.3");
  await clock.advanceAsync(8_000);
  expect(told[1]?.map(({ id }) => id)).toEqual(["10.0.0.2:443", "10.0.0.3:443"]);
  expect(told[1]?.[0]).toBe(told[0]?.[1]);
});

test("an equal answer is no news", async () => {
  answer("a.example", "10.0.0.1");
  outside.configure(external("a.example"));
  for (let n = 0; n < 10; n++) {
    await use("a.example");
    await clock.advanceAsync(5_000);
  }
  expect(told).toHaveLength(1);
});

test("a call asks for the names of its own host alone", async () => {
  answer("a.example", "10.0.0.1");
  answer("b.example", "10.0.0.1");
  outside.configure(external(["a.example", "b.example"]));
  await use("b.example");
  expect(resolver.asked).toEqual(["A b.example"]);
  expect(told.at(-1)).toMatchObject([{ id: "b.example/10.0.0.1:443", labels: { host: "b.example" } }]);
});

test("of several names a call waits for the first, and fails only when all have failed", async () => {
  answer("one.example", "10.0.0.1");
  resolver.answers.set("two.example", undefined);
  outside.configure(external("a.example", { addresses: ["one.example", "two.example", "three.example:8443"] }));
  expect(await use("a.example")).toBe("waiting");
  expect(await use("a.example")).toBe("ready");
  expect(outside.failure("a.example")).toMatchObject({ code: "ENOTFOUND" });
  expect(outside.namesFor("a.example")).toEqual(["one.example", "two.example", "three.example"]);
});

test("a changed policy keeps the names that stay, with what is known of them, and closes the others", async () => {
  answer("a.example", "10.0.0.1");
  answer("b.example", "10.0.0.2");
  outside.configure(external("out.example", { addresses: ["a.example", "b.example"] }));
  await use("out.example");
  const kept = outside.configure(external("out.example", { addresses: ["a.example"], circuitBreaker: false }));
  expect(kept.map(({ id }) => id)).toEqual(["10.0.0.1:443"]);
  expect(resolver.asked).toEqual(["A a.example", "A b.example"]);
  expect(clock.pendingTimers).toBe(1);
});

test("static addresses are endpoints at once, and nobody is asked", () => {
  const found = outside.configure(
    external("a.example", { resolution: "static", addresses: ["10.0.0.7", "[::1]:8443", "db.internal"] }),
  );
  expect(found.map(({ address, port }) => [address, port])).toEqual([
    ["10.0.0.7", 443],
    ["::1", 8443],
    ["db.internal", 443],
  ]);
  expect(outside.use("a.example", 0)).toBe("ready");
  expect(resolver.asked).toEqual([]);
});

test("a service of the mesh asks DNS only while nobody is registered, in plaintext or TLS as its policy says", async () => {
  answer("legacy.internal", "10.0.0.1");
  const registered: Endpoint = {
    id: "r1",
    address: "10.9.9.9",
    port: 1,
    transport: "mtls",
    labels: {},
    health: "healthy",
    serviceAccount: "legacy",
  };
  const policy = { fallback: "dns", hosts: ["legacy.internal"], port: 8080 } as const;
  outside.configure(inside(policy));
  await use("legacy");
  expect(told[0]).toMatchObject([{ id: "10.0.0.1:8080", transport: "plaintext" }]);
  expect(outside.configure(inside(policy, [registered]))).toEqual([registered]);
  expect({ timers: clock.pendingTimers, state: outside.use("legacy", 0) }).toEqual({ timers: 0, state: "ready" });
  outside.configure(inside({ ...policy, tls: {} }));
  await use("legacy");
  expect(told.at(-1)).toMatchObject([{ transport: "tls", servername: "legacy.internal" }]);
});

test("a bounded number of calls may wait, and each is told once, also of the end", async () => {
  resolver.answers.set("a.example", undefined);
  outside.configure(external("a.example"));
  await use("a.example");
  const listener = vi.fn();
  const stops = Array.from({ length: MAX_DNS_WAITERS }, () => outside.onChange(() => listener()));
  expect(outside.onChange(listener)).toBeUndefined();
  stops[0]?.();
  outside.close();
  expect(listener).toHaveBeenCalledTimes(MAX_DNS_WAITERS - 1);
  expect(outside.use("a.example", 0)).toBe("ready");
});
