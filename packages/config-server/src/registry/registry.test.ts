import type { Endpoint, ServiceKey, ServicePolicy } from "@tulle/policy";
import { policyKey } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { Watchable } from "@tulle/time";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryStore } from "../store/memory-store.ts";
import type { PolicyRevision } from "../store/policy-store.ts";
import type { StateStore } from "../store/state-store.ts";
import type { Registrant } from "./registration.ts";
import { openRegistry, type Registry } from "./registry.ts";

const endpoint = (id: string, more: Partial<Endpoint> = {}) => ({
  id,
  address: "10.0.0.1",
  port: 8080,
  transport: "mtls" as const,
  labels: { version: "v1" },
  ...more,
});

const registrant = (memberId: string, serviceAccount = "reviews", namespace = "default"): Registrant => ({
  memberId,
  namespace,
  serviceAccount,
  spiffeId: `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`,
});

const service = "default/reviews" as const;

const revisionOf = (number: number, ...policies: ServicePolicy[]): PolicyRevision => ({
  revision: `p.${number}`,
  policies: new Map(policies.map((policy) => [policyKey(policy), policy])),
});

const reviews: ServicePolicy = { kind: "Service", name: "reviews" };

describe("the registry", () => {
  let clock: FakeClock;
  let store: StateStore;
  let policies: Watchable<PolicyRevision>;
  let registry: Registry;
  const opened: Registry[] = [];

  const open = async (): Promise<Registry> => {
    registry = await openRegistry({ store, clock, policies });
    opened.push(registry);
    return registry;
  };
  const afterStartGrace = async () => {
    await open();
    await clock.advanceAsync(30_000);
  };
  const health = () =>
    Object.fromEntries((registry.endpoints.current.services.get(service) ?? []).map((each) => [each.id, each.health]));
  const numberNow = () => Number(registry.endpoints.current.revision.split(".")[1]);
  /** Registers `count` instances, each by a member of its own. */
  const fill = (count: number) =>
    Promise.all(
      Array.from({ length: count }, async (_, n) => {
        const tenancy = registry.attach(registrant(`m${n}`));
        await tenancy.register({ service, endpoint: endpoint(`i${n}`) });
        return tenancy;
      }),
    );

  beforeEach(() => {
    clock = new FakeClock();
    store = new MemoryStore(clock);
    policies = new Watchable(revisionOf(1, reviews));
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()));
    await store.close();
  });

  it("publishes what is registered, in the order of ids, and keeps the arrays of other services", async () => {
    policies.set(revisionOf(2, reviews, { kind: "Service", name: "details" }));
    await open();
    await registry.attach(registrant("d", "details")).register({ service: "default/details", endpoint: endpoint("d") });
    const details = registry.endpoints.current.services.get("default/details");
    const tenancy = registry.attach(registrant("m"));
    await tenancy.register({ service, endpoint: endpoint("b") });
    await tenancy.register({ service, endpoint: endpoint("a") });
    expect(registry.endpoints.current.services.get(service)).toEqual([
      { ...endpoint("a"), health: "healthy", serviceAccount: "reviews" },
      { ...endpoint("b"), health: "healthy", serviceAccount: "reviews" },
    ]);
    expect(registry.endpoints.current.services.get("default/details")).toBe(details);
    expect(registry.list().services).toContainEqual({
      service: "default/details",
      endpoints: [expect.objectContaining({ id: "d", owner: "spiffe://cluster.local/ns/default/sa/details" })],
    });
  });

  it("counts up with each change, and not when an instance only says again that it is there", async () => {
    await open();
    const first = numberNow();
    const tenancy = registry.attach(registrant("m"));
    await tenancy.register({ service, endpoint: endpoint("a") });
    const before = registry.endpoints.current;
    expect(numberNow()).toBe(first + 1);
    await tenancy.register({ service, endpoint: endpoint("a") });
    expect(registry.endpoints.current).toBe(before);
    await tenancy.register({ service, endpoint: endpoint("a", { port: 8081 }) });
    expect(numberNow()).toBe(first + 2);
  });

  it("writes what comes at once in few commits, each published once", async () => {
    await open();
    const first = numberNow();
    const heard: number[] = [];
    registry.endpoints.subscribe(({ services }) => heard.push(services.get(service)?.length ?? 0));
    await fill(100);
    expect(heard).toEqual([45, 90, 100]);
    expect(numberNow()).toBe(first + 3);
  });

  it.each([
    [
      "another service account",
      registrant("m", "ratings"),
      /spiffe:.*\/sa\/ratings may not register instances of default\/reviews: its Service policy names the service accounts reviews$/,
    ],
    ["another namespace", registrant("m", "reviews", "prod"), /only identities of namespace default may/],
  ])("refuses an identity of %s, naming who is allowed", async (_, who, message) => {
    await open();
    const refused = registry.attach(who).register({ service, endpoint: endpoint("a") });
    await expect(refused).rejects.toMatchObject({ code: "not-allowed", message: expect.stringMatching(message) });
    expect(registry.endpoints.current.services.size).toBe(0);
    expect(registry.counters().refused).toBe(1);
  });

  it("refuses instances of a service without a policy", async () => {
    await open();
    const refused = registry.attach(registrant("m")).register({ service: "default/other", endpoint: endpoint("a") });
    await expect(refused).rejects.toThrow("there is no Service policy default/other");
  });

  it.each(["0.0.0.0", "::", "0:0:0:0:0:0:0:0", "1.2.3", "10.0.0.1:80", "-a.example", "a b", "a..b", ""])(
    "refuses the address %j, to which nobody can connect",
    async (address) => {
      await open();
      const refused = registry.attach(registrant("m")).register({ service, endpoint: endpoint("a", { address }) });
      await expect(refused).rejects.toMatchObject({
        code: "bad-message",
        message: expect.stringContaining("advertise"),
      });
    },
  );

  it.each(["10.0.0.1", "::1", "fe80::1%eth0", "localhost", "reviews-0.reviews.default.svc"])(
    "takes the address %j",
    async (address) => {
      await open();
      await registry.attach(registrant("m")).register({ service, endpoint: endpoint("a", { address }) });
      expect(registry.endpoints.current.services.get(service)).toHaveLength(1);
    },
  );

  it("refuses an endpoint that would make its slice too large, and one more than a member may have", async () => {
    await open();
    const tenancy = registry.attach(registrant("m"));
    const labels = { long: "x".repeat(2_000) };
    await expect(tenancy.register({ service, endpoint: endpoint("a", { labels }) })).rejects.toMatchObject({
      code: "too-large",
    });
    for (let n = 0; n < 64; n++) await tenancy.register({ service, endpoint: endpoint(`i${n}`) });
    await expect(tenancy.register({ service, endpoint: endpoint("one-more") })).rejects.toMatchObject({
      code: "too-many",
    });
    await tenancy.register({ service, endpoint: endpoint("i3", { port: 1 }) });
  });

  it("lets the same identity take an instance over, and no other", async () => {
    policies.set(revisionOf(2, { ...reviews, serviceAccounts: ["reviews", "other"] }));
    await afterStartGrace();
    const old = registry.attach(registrant("m"));
    await old.register({ service, endpoint: endpoint("a") });
    const stranger = registry.attach(registrant("x", "other"));
    await expect(stranger.register({ service, endpoint: endpoint("a", { port: 1 }) })).rejects.toMatchObject({
      code: "not-allowed",
      message: expect.stringContaining("belongs to spiffe://cluster.local/ns/default/sa/reviews"),
    });
    await expect(stranger.withdraw({ service, endpointId: "a", state: "gone" })).rejects.toMatchObject({
      code: "not-allowed",
    });
    const fresh = registry.attach(registrant("m"));
    await fresh.register({ service, endpoint: endpoint("a", { port: 81 }) });
    old.end();
    await clock.advanceAsync(60_000);
    expect(registry.endpoints.current.services.get(service)).toMatchObject([{ id: "a", port: 81, health: "healthy" }]);
  });

  it("keeps an instance for the grace period after its connection ended, then removes it", async () => {
    await afterStartGrace();
    const [first] = await fill(2);
    first!.end();
    await clock.advanceAsync(9_000);
    expect(health()).toEqual({ i0: "healthy", i1: "healthy" });
    await clock.advanceAsync(2_000);
    expect(health()).toEqual({ i1: "healthy" });
    expect(registry.counters().expired).toBe(1);
  });

  it("removes nothing of a member that comes back within the grace period", async () => {
    await afterStartGrace();
    const [first] = await fill(2);
    const before = registry.endpoints.current;
    first!.end();
    await clock.advanceAsync(9_000);
    await registry.attach(registrant("m0")).register({ service, endpoint: endpoint("i0") });
    await clock.advanceAsync(60_000);
    expect(registry.endpoints.current).toBe(before);
  });

  it("marks an instance that drains, and believes its silence then", async () => {
    await afterStartGrace();
    const [only] = await fill(1);
    await only!.withdraw({ service, endpointId: "i0", state: "draining" });
    expect(health()).toEqual({ i0: "draining" });
    only!.end();
    await clock.advanceAsync(11_000);
    expect(health()).toEqual({});
  });

  it("removes at once what says that it is gone, also in the start grace, also all of a service", async () => {
    await open();
    const [first, second, third] = await fill(3);
    await first!.withdraw({ service, endpointId: "i0", state: "gone" });
    await first!.withdraw({ service, endpointId: "i0", state: "gone" });
    expect(health()).toEqual({ i1: "healthy", i2: "healthy" });
    await Promise.all([second!.leave(), third!.leave()]);
    expect(health()).toEqual({});
  });

  it("keeps a mass that goes at once as stale until each is there again", async () => {
    await afterStartGrace();
    const tenancies = await fill(10);
    for (const tenancy of tenancies.slice(0, 4)) tenancy.end();
    await clock.advanceAsync(3_600_000);
    expect(Object.values(health()).filter((each) => each === "stale")).toHaveLength(4);
    expect(Object.keys(health())).toHaveLength(10);
    expect(registry.counters().staled).toBe(4);
    await registry.attach(registrant("m0")).register({ service, endpoint: endpoint("i0") });
    expect(health().i0).toBe("healthy");
  });

  it("does not let a mass go one by one", async () => {
    await afterStartGrace();
    const tenancies = await fill(10);
    for (const tenancy of tenancies.slice(0, 8)) {
      tenancy.end();
      await clock.advanceAsync(2_000);
    }
    await clock.advanceAsync(30_000);
    expect(Object.keys(health())).toHaveLength(7);
    expect(Object.values(health()).filter((each) => each === "stale")).toHaveLength(5);
  });

  it("stands where it stood after a restart: same position, same endpoints, nothing removed in the start grace", async () => {
    await open();
    const [first] = await fill(5);
    await first!.withdraw({ service, endpointId: "i0", state: "draining" });
    const before = registry.endpoints.current;
    await open();
    expect(registry.endpoints.current).toEqual(before);
    expect(registry.inStartGrace).toBe(true);
    await clock.advanceAsync(29_000);
    expect(registry.endpoints.current).toEqual(before);
    for (const n of [1, 2, 3])
      await registry.attach(registrant(`m${n}`)).register({ service, endpoint: endpoint(`i${n}`) });
    expect(registry.endpoints.current).toEqual(before);
    await clock.advanceAsync(2_000);
    expect(registry.inStartGrace).toBe(false);
    expect(Object.keys(health())).toEqual(["i1", "i2", "i3"]);
  });

  it("publishes the instances that a service selects by labels, where their account may answer for it", async () => {
    const front = (fields: object) =>
      ({ kind: "Service", name: "front", selector: { version: "v1" }, ...fields }) as const;
    policies.set(revisionOf(2, reviews, front({ serviceAccounts: ["reviews"] })));
    await open();
    const tenancy = registry.attach(registrant("m"));
    await tenancy.register({ service, endpoint: { ...endpoint("a"), labels: { version: "v1", zone: "x" } } });
    await tenancy.register({ service, endpoint: { ...endpoint("b"), labels: { version: "v2" } } });
    const ids = (of: ServiceKey) => registry.endpoints.current.services.get(of)?.map(({ id }) => id);
    expect(ids("default/front")).toEqual(["a"]);
    expect(ids(service)).toEqual(["a", "b"]);
    await tenancy.register({ service, endpoint: { ...endpoint("b"), labels: { version: "v1" } } });
    expect(ids("default/front")).toEqual(["a", "b"]);
    policies.set(revisionOf(3, reviews, front({})));
    await expect.poll(() => ids("default/front")).toBeUndefined();
    policies.set(revisionOf(4, reviews, front({ serviceAccounts: ["reviews"], selector: { zone: "x" } })));
    await expect.poll(() => ids("default/front")).toEqual(["a"]);
    policies.set(revisionOf(5, reviews, front({ serviceAccounts: ["reviews"], namespace: "other" })));
    await expect.poll(() => ids("default/front")).toBeUndefined();
    expect(ids("other/front")).toBeUndefined();
  });

  it("publishes no instance whose account the policy no longer names, and publishes it again when it does", async () => {
    await open();
    await fill(1);
    policies.set(revisionOf(2, { ...reviews, serviceAccounts: ["other"] }));
    await expect.poll(health).toEqual({});
    policies.set(revisionOf(3, reviews));
    await expect.poll(health).toEqual({ i0: "healthy" });
  });

  it("decides again when another writer was faster, and takes over what that one wrote", async () => {
    policies.set(revisionOf(2, reviews, { kind: "Service", name: "details" }));
    await open();
    const other = registry;
    await open();
    await other.attach(registrant("m", "details")).register({ service: "default/details", endpoint: endpoint("a") });
    await registry.attach(registrant("n")).register({ service, endpoint: endpoint("b") });
    expect(health()).toEqual({ b: "healthy" });
    expect(registry.endpoints.current.services.get("default/details")).toMatchObject([{ id: "a" }]);
  });

  it("refuses what comes after its end, and leaves no timer", async () => {
    await open();
    const tenancy = registry.attach(registrant("m"));
    await registry.close();
    await expect(tenancy.register({ service, endpoint: endpoint("a") })).rejects.toMatchObject({ code: "closed" });
    expect(clock.pendingTimers).toBe(0);
    tenancy.end();
    await expect(tenancy.register({ service, endpoint: endpoint("a") })).rejects.toMatchObject({ code: "wrong-order" });
  });
});
