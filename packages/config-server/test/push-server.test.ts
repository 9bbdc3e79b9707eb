import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import type { Endpoint, ServicePolicy } from "@tulle/policy";
import { ENROLL_TIMEOUT_MS, MESH_PATH, type Register } from "@tulle/protocol";
import { FakeClock } from "@tulle/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryStore } from "../src/store/memory-store.ts";
import { PushFixture } from "./push-fixture.ts";
import { heldAfter, helloOf, type Received, type ScriptedMember } from "./scripted-member.ts";

const service = (name: string, more: Partial<ServicePolicy> = {}): ServicePolicy => ({
  kind: "Service",
  name,
  ...more,
});

const endpoint = (id: string, more: Partial<Endpoint> = {}): Register["endpoint"] => ({
  id,
  address: "10.0.0.1",
  port: 8080,
  transport: "mtls",
  labels: { version: "v1" },
  ...more,
});

describe("the push server", () => {
  let fixture: PushFixture;

  beforeEach(async () => {
    fixture = await new PushFixture().open();
  });
  afterEach(() => fixture.close());

  /** Says hello and takes what there is. */
  const join = async (id: string, more: Parameters<typeof helloOf>[1] = {}): Promise<ScriptedMember> => {
    const member = await fixture.connect();
    member.say(helloOf(id, more));
    await member.next("welcome");
    await Promise.all([member.accept("policy"), member.accept("endpoints"), member.accept("trust")]);
    await member.settled();
    return member;
  };

  it("welcomes a member and sends it the three streams", async () => {
    await fixture.apply([service("reviews"), service("ratings"), service("details")]);
    const member = await fixture.connect();
    member.say(helloOf("r1", { subscriptions: ["default/ratings"] }));
    expect(await member.next("welcome")).toEqual({
      type: "welcome",
      protocol: 1,
      features: ["gzip", "plaintext-callers"],
      software: "tulle-config-server",
      spiffeId: "spiffe://cluster.local/ns/default/sa/reviews",
      pingIntervalMs: 15_000,
      wallClockMs: fixture.clock.wallNow(),
    });
    const [policy, endpoints, trust] = await Promise.all([
      member.take("policy"),
      member.take("endpoints"),
      member.take("trust"),
    ]);
    expect(policy.begin).toMatchObject({ full: true, revision: fixture.policyStore.head.current.revision });
    expect(Object.keys(policy.upserts).sort()).toEqual([
      "external-names/-",
      "inbound/default/reviews",
      "mesh",
      "names/-",
      "service/default/ratings",
    ]);
    expect(Object.keys(endpoints.upserts)).toEqual(["endpoints/default/ratings/-"]);
    expect(trust.parts[0]?.upserts[0]).toMatchObject({ value: { trustDomain: "cluster.local", roots: ["root"] } });
  });

  it("sends a change as what differs from what the member holds", async () => {
    await fixture.apply([service("reviews"), service("ratings")]);
    const member = await join("r1", { subscriptions: ["default/ratings"] });
    const { revision } = await fixture.apply([service("ratings", { port: 81 })]);
    const change = await member.accept("policy");
    expect(change).toMatchObject({ revision, begin: { full: false }, removals: [] });
    expect(Object.keys(change.upserts)).toEqual(["service/default/ratings"]);
    await fixture.apply([], ["Service/default/ratings"]);
    const removal = await member.accept("policy");
    expect(removal.removals).toEqual(["service/default/ratings"]);
    expect(Object.keys(removal.upserts)).toEqual(["names/-"]);
  });

  it("sends a policy revision that changes nothing for a member too, so that it can say that it runs it", async () => {
    await fixture.apply([service("reviews"), service("ratings")]);
    const member = await join("r1");
    const { revision } = await fixture.apply([service("ratings", { port: 81 })]);
    expect(await member.accept("policy")).toMatchObject({ revision, parts: [] });
    await member.settled();
    expect(fixture.push.members.list()).toMatchObject([{ id: "r1", revisions: { policy: revision } }]);
  });

  it("gives a slow member the latest and nothing between", async () => {
    await fixture.apply([service("reviews"), service("ratings")]);
    const member = await join("r1", { subscriptions: ["default/ratings"] });
    await fixture.apply([service("ratings", { port: 81 })]);
    const first = await member.take("policy");
    await fixture.apply([service("ratings", { port: 82 })]);
    await fixture.apply([service("ratings", { port: 83 })]);
    const { revision } = await fixture.apply([service("ratings", { port: 84 })]);
    await member.settled();
    expect(member.unread).toEqual([]);
    member.ack(first);
    const second = await member.accept("policy");
    expect(second.revision).toBe(revision);
    expect(second.parts[0]?.upserts[0]).toMatchObject({ value: { policy: { port: 84 } } });
  });

  it("publishes changes that come together as one", async () => {
    const member = await join("r1");
    for (const name of ["a", "b", "c"]) {
      await fixture.policyStore.apply({ puts: [service(name)], deletes: [], author: "", message: "" }, () => undefined);
    }
    await fixture.publish();
    expect((await member.accept("policy")).revision).toBe(fixture.policyStore.head.current.revision);
    await member.settled();
    expect(member.unread).toEqual([]);
  });

  it("changes what is sent by subscribe, on the present revision", async () => {
    const { revision } = await fixture.apply([service("reviews"), service("ratings")]);
    const member = await join("r1");
    member.say({ type: "subscribe", add: ["default/ratings", "default/later"], remove: [] });
    expect(await member.accept("policy")).toMatchObject({
      revision,
      upserts: { "service/default/ratings": expect.any(String) },
    });
    expect(Object.keys((await member.accept("endpoints")).upserts)).toEqual([
      "endpoints/default/ratings/-",
      "endpoints/default/later/-",
    ]);
    await fixture.apply([service("later")]);
    expect(Object.keys((await member.accept("policy")).upserts).sort()).toEqual(["names/-", "service/default/later"]);
    member.say({ type: "subscribe", add: [], remove: ["default/later"] });
    expect((await member.accept("policy")).removals).toEqual(["service/default/later"]);
    expect((await member.accept("endpoints")).removals).toEqual(["endpoints/default/later/-"]);
  });

  it("lets a member resume without receiving what it already holds, also from a server that was restarted", async () => {
    const clock = new FakeClock();
    const state = new MemoryStore(clock);
    const before = await new PushFixture({}, state, clock).open();
    await before.apply([service("reviews")]);
    const first = await before.connect();
    first.say(helloOf("r1", { subscriptions: ["default/reviews"] }));
    first.say({ type: "register", id: 1, service: "default/reviews", endpoint: endpoint("r1") });
    await before.registered(first);
    await before.publish();
    const [policy, , trust] = [
      await first.accept("policy"),
      await first.accept("endpoints"),
      await first.accept("trust"),
    ];
    const endpoints = await first.accept("endpoints");
    await first.settled();
    await before.close();
    const after = await new PushFixture({}, state, clock).open();
    const again = await after.connect();
    const held = { policy: heldAfter(policy), endpoints: heldAfter(endpoints), trust: heldAfter(trust) };
    again.say(helloOf("r1", { subscriptions: ["default/reviews"], held }));
    again.say({ type: "register", id: 1, service: "default/reviews", endpoint: endpoint("r1") });
    await after.registered(again);
    await after.publish();
    await again.settled();
    expect(again.unread.map(({ type }) => type)).toEqual(["welcome"]);
    expect(after.push.members.list()).toMatchObject([
      { revisions: { policy: policy.revision, endpoints: endpoints.revision } },
    ]);
    await after.close();
  });

  it("sends everything anew to a member of another history", async () => {
    await fixture.apply([service("reviews")]);
    const member = await fixture.connect();
    const foreign = {
      revision: "other.7",
      seen: "other.7",
      resources: { mesh: "x", "service/default/old": "y" },
    } as const;
    member.say(helloOf("r1", { held: { policy: foreign } }));
    const policy = await member.accept("policy");
    expect(policy.begin.full).toBe(true);
    expect(Object.keys(policy.upserts)).toContain("mesh");
  });

  it.each(["policy", "endpoints"] as const)("does not go back behind the %s that a member has seen", async (stream) => {
    const member = await fixture.connect();
    const ours =
      stream === "policy" ? fixture.policyStore.head.current.revision : fixture.registry.endpoints.current.revision;
    const [epoch] = ours.split(".");
    const held = { revision: null, seen: `${epoch}.999`, resources: {} } as const;
    member.say(helloOf("r1", { held: { [stream]: held } }));
    expect(await member.next("refused")).toMatchObject({
      code: "behind",
      message: expect.stringContaining(`${epoch}.999`),
    });
    expect(await member.closed).toEqual({ code: 1013, reason: "behind" });
  });

  it("lets a stream wait that was refused, while the others go on", async () => {
    await fixture.apply([service("reviews"), service("ratings")]);
    const member = await join("r1", { subscriptions: ["default/ratings"] });
    const { revision } = await fixture.apply([service("ratings", { port: 81 })]);
    member.nack(await member.take("policy"), "no such regex");
    await member.settled();
    expect(fixture.push.members.list()[0]?.refusals).toEqual({ policy: { revision, reason: "no such regex" } });
    const other = await fixture.connect("default/ratings");
    other.say({ ...helloOf("x1"), member: { id: "x1", namespace: "default", service: "ratings", labels: {} } });
    other.say({ type: "register", id: 1, service: "default/ratings", endpoint: endpoint("x1") });
    await fixture.registered(other);
    fixture.bundles.set([{ trustDomain: "cluster.local", roots: ["root", "next root"] }]);
    await fixture.publish();
    expect((await member.accept("endpoints")).parts[0]?.upserts[0]).toMatchObject({
      value: { endpoints: [{ id: "x1", health: "healthy", serviceAccount: "ratings" }] },
    });
    expect((await member.accept("trust")).begin.full).toBe(true);
    await member.settled();
    expect(member.unread).toEqual([]);
    await fixture.apply([service("ratings", { port: 82 })]);
    await member.accept("policy");
    await member.settled();
    expect(fixture.push.members.list().find(({ id }) => id === "r1")?.refusals).toEqual({});
  });

  it("tells a member that refused a revision of what it calls for the first time, at the revision that it holds", async () => {
    const { revision: held } = await fixture.apply([service("reviews"), service("ratings"), service("details")]);
    const member = await join("r1", { subscriptions: ["default/ratings"] });
    const { revision } = await fixture.apply([service("ratings", { port: 81 })]);
    member.nack(await member.take("policy"), "no such regex");
    member.say({ type: "subscribe", add: ["default/details"], remove: [] });
    const caughtUp = await member.accept("policy");
    expect(caughtUp).toMatchObject({
      revision: held,
      begin: { full: false },
      upserts: { "service/default/details": expect.any(String) },
      removals: [],
    });
    expect(Object.keys(caughtUp.upserts)).toEqual(["service/default/details"]);
    await member.settled();
    expect(fixture.push.members.list()[0]).toMatchObject({
      revisions: { policy: held },
      refusals: { policy: { revision, reason: "no such regex" } },
    });

    // A member that refuses that too is not asked for ever.
    member.say({ type: "subscribe", add: ["default/reviews"], remove: [] });
    member.nack(await member.take("policy"), "nor this one");
    await member.settled();
    expect(member.unread.filter((message) => message.type === "begin" && message.stream === "policy")).toEqual([]);

    await fixture.apply([service("ratings", { port: 82 })]);
    expect(Object.keys((await member.accept("policy")).upserts).sort()).toEqual(
      expect.arrayContaining(["service/default/ratings", "service/default/reviews"]),
    );
    await member.settled();
    expect(fixture.push.members.list()[0]?.refusals).toEqual({});
  });

  it("tells when all members have answered a revision, and who refused", async () => {
    const [good, bad, slow] = await Promise.all([join("m1"), join("m2"), join("m3")]);
    const { revision } = await fixture.apply([service("reviews")]);
    let settled = false;
    const wait = fixture.push.members.acknowledgement(revision, 60_000).finally(() => {
      settled = true;
    });
    await good.accept("policy");
    bad.nack(await bad.take("policy"), "cannot");
    await Promise.all([good.settled(), bad.settled()]);
    expect(settled).toBe(false);
    slow.socket.terminate();
    expect(await wait).toEqual({
      revision,
      complete: true,
      acknowledged: ["m1"],
      refused: [{ member: "m2", reason: "cannot" }],
      pending: [],
    });
    expect(await fixture.push.members.acknowledgement(revision, 0)).toMatchObject({ complete: true });
  });

  it("names who is pending when the time is over", async () => {
    await join("m1");
    const { revision } = await fixture.apply([service("reviews")]);
    const wait = fixture.push.members.acknowledgement(revision, 1_000);
    await fixture.clock.advanceAsync(1_000);
    expect(await wait).toEqual({ revision, complete: false, acknowledged: [], refused: [], pending: ["m1"] });
  });

  it("registers instances, and keeps them for the grace period when the connection is lost", async () => {
    await fixture.apply([service("reviews")]);
    await fixture.clock.advanceAsync(30_000);
    const [member, watcher] = [await join("r1"), await join("w1", { subscriptions: ["default/reviews"] })];
    for (const id of ["r1", "r2"]) {
      member.say({ type: "register", id: 1, service: "default/reviews", endpoint: endpoint(id) });
      expect(await fixture.registered(member)).toEqual({ type: "done", id: 1 });
      await watcher.accept("endpoints");
    }
    member.say({ type: "withdraw", id: 2, service: "default/reviews", endpointId: "r2", state: "draining" });
    await member.next("done");
    await fixture.publish();
    const health = (received: Received) =>
      received.parts.flatMap(({ upserts }) =>
        upserts.map(({ value }) => (value as { endpoints: Endpoint[] }).endpoints.map((each) => each.health)),
      );
    expect(health(await watcher.accept("endpoints"))).toEqual([["healthy", "draining"]]);
    member.socket.terminate();
    await expect.poll(() => fixture.push.members.list().find(({ id }) => id === "r1")?.connected).toBe(false);
    // One that listens drains at once; the last one of a service is kept as stale.
    await fixture.clock.advanceAsync(12_000);
    expect(health(await watcher.accept("endpoints"))).toEqual([["stale"]]);
  });

  it("removes the instances of a member that says goodbye at once", async () => {
    await fixture.apply([service("reviews")]);
    const member = await join("r1");
    member.say({ type: "register", id: 1, service: "default/reviews", endpoint: endpoint("r1") });
    await fixture.registered(member);
    member.say({ type: "goodbye" });
    expect(await member.closed).toEqual({ code: 1000, reason: "goodbye" });
    expect(fixture.registry.list().services).toEqual([]);
    expect(fixture.push.members.list()).toEqual([]);
  });

  it("refuses a registration without ending the connection", async () => {
    await fixture.apply([service("reviews"), service("ratings")]);
    const member = await join("r1");
    member.say({ type: "register", id: 7, service: "default/ratings", endpoint: endpoint("r1") });
    expect(await member.next("refused")).toEqual({
      type: "refused",
      id: 7,
      code: "not-allowed",
      message:
        "spiffe://cluster.local/ns/default/sa/reviews may not register instances of default/ratings: its Service policy names the service accounts ratings",
    });
    await member.settled();
  });

  it("issues certificates, and bounds how many a member may ask for", async () => {
    const member = await join("r1");
    for (let id = 0; id < 11; id++) member.say({ type: "certificate-request", id, csr: "csr" });
    expect(await member.next("certificate")).toEqual({
      type: "certificate",
      id: 0,
      chain: "chain for spiffe://cluster.local/ns/default/sa/reviews",
    });
    expect(await member.next("refused")).toMatchObject({ id: 10, code: "too-many" });
    await fixture.clock.advanceAsync(2_000);
    member.say({ type: "certificate-request", id: 20, csr: "weak" });
    expect(await member.next("refused")).toEqual({
      type: "refused",
      id: 20,
      code: "csr-key",
      message: "a P-256 key is needed",
    });
    member.say({ type: "certificate-request", id: 21, csr: "broken" });
    expect(await member.next("refused")).toMatchObject({
      id: 21,
      code: "internal",
      message: expect.not.stringContaining("disk"),
    });
    expect(fixture.failures).toEqual([new Error("the disk is full")]);
    expect(fixture.push.members.list()[0]?.certificateNotAfterMs).toBe(1_700_086_400_000);
  });

  it("asks members to renew", async () => {
    const [one, two] = [await join("m1"), await join("m2")];
    expect(fixture.push.members.renew("m2")).toEqual(["m2"]);
    expect(fixture.push.members.renew("m9")).toEqual([]);
    await two.next("renew");
    expect(fixture.push.members.renew()).toEqual(["m1", "m2"]);
    await Promise.all([one.next("renew"), two.next("renew")]);
  });

  it("replaces an earlier connection of the same member, whose instances stay", async () => {
    await fixture.apply([service("reviews")]);
    const first = await join("r1");
    first.say({ type: "register", id: 1, service: "default/reviews", endpoint: endpoint("r1") });
    await fixture.registered(first);
    const second = await join("r1");
    expect(await first.next("refused")).toMatchObject({ code: "replaced" });
    expect(await first.closed).toEqual({ code: 1008, reason: "replaced" });
    expect(fixture.push.members.list()).toMatchObject([{ id: "r1", connected: true }]);
    expect(fixture.registry.list().services).toHaveLength(1);
    await second.settled();
  });

  it("refuses a member id that belongs to another identity", async () => {
    const first = await join("r1");
    const other = await fixture.connect("default/ratings");
    other.say(helloOf("r1"));
    expect(await other.next("refused")).toMatchObject({
      code: "identity-mismatch",
      message: expect.stringContaining("sa/reviews"),
    });
    expect(await other.closed).toEqual({ code: 1008, reason: "identity-mismatch" });
    await first.settled();
  });

  it("compresses large resources for members that can, once for all", async () => {
    const hosts = Array.from({ length: 1_000 }, (_, n) => `host-${n}.example.com`);
    await fixture.apply([service("ratings", { hosts })]);
    const [one, plain] = [await fixture.connect(), await fixture.connect()];
    one.say(helloOf("m1", { subscriptions: ["default/ratings"] }));
    plain.say(helloOf("m2", { subscriptions: ["default/ratings"], features: [] }));
    const upsertOf = async (member: ScriptedMember) =>
      (await member.take("policy")).parts
        .flatMap(({ upserts }) => upserts)
        .find(({ name }) => name === "service/default/ratings");
    expect((await upsertOf(one))?.gzip).toMatch(/^H4s/);
    expect((await upsertOf(plain))?.value).toMatchObject({ policy: { hosts } });
  });

  it("ends connections that answer no ping, and keeps those that do", async () => {
    const [alive, dead] = [await join("m1"), await join("m2")];
    dead.socket.pause();
    const pinged = once(alive.socket, "ping");
    await fixture.clock.advanceAsync(15_000);
    await pinged;
    await alive.settled();
    await fixture.clock.advanceAsync(15_000);
    await expect
      .poll(() => fixture.push.members.list().map(({ id, connected }) => [id, connected]))
      .toEqual([
        ["m1", true],
        ["m2", false],
      ]);
    expect(fixture.push.counters().deadPeers).toBe(1);
    dead.socket.terminate();
  });

  it("ends the connection of a member that does not read", async () => {
    // Pings far apart: a member that answers none would be ended for that.
    const patient = await new PushFixture({ pingIntervalMs: 60_000 }).open();
    // More than loopback's own buffers take.
    const services = Array.from({ length: 100 }, (_, n) => service(`s${n}`, { labels: { pad: "x".repeat(180_000) } }));
    await patient.apply(services);
    const member = await patient.connect();
    member.say(helloOf("m1", { features: [], subscriptions: services.map(({ name }) => `default/${name}` as const) }));
    await member.next("welcome");
    member.socket.pause();
    await expect
      .poll(async () => {
        await patient.clock.advanceAsync(60_000);
        return patient.push.counters();
      })
      .toMatchObject({ "refused.slow-reader": 1, members: 0 });
    expect(patient.push.counters().deadPeers).toBeUndefined();
    member.socket.terminate();
    await patient.close();
  });

  it("says goodbye to everybody at its end", async () => {
    const members = [await join("m1"), await join("m2")];
    const silent = await fixture.connect();
    const closing = fixture.push.close();
    for (const member of members) {
      expect(await member.next("goodbye")).toEqual({
        type: "goodbye",
        reason: "the config-server goes",
        retryAfterMs: 500,
      });
      expect(await member.closed).toEqual({ code: 1012, reason: "goodbye" });
    }
    expect((await silent.closed).code).toBe(1012);
    await closing;
    expect(fixture.push.counters().connections).toBe(0);
  });

  it("brings an apply to 200 members, and serializes nothing again for each", async () => {
    await fixture.apply([service("reviews"), service("ratings")]);
    const members = await Promise.all(
      Array.from({ length: 200 }, (_, n) => join(`m${n}`, { subscriptions: ["default/ratings"] })),
    );
    const before = fixture.push.counters();
    const { revision } = await fixture.apply([service("ratings", { port: 81 })]);
    const wait = fixture.push.members.acknowledgement(revision, 60_000);
    const received = await Promise.all(members.map((member) => member.accept("policy")));
    expect(new Set(received.map(({ upserts }) => JSON.stringify(upserts))).size).toBe(1);
    expect((await wait).acknowledged).toHaveLength(200);
    expect(fixture.push.counters().transactions! - before.transactions!).toBe(200);
    expect(fixture.push.counters().publications! - before.publications!).toBe(1);
  });
});

describe("a member that joins by a token", () => {
  let fixture: PushFixture;

  beforeEach(async () => {
    fixture = await new PushFixture().open();
    await fixture.apply([service("reviews"), service("ratings")]);
  });
  afterEach(() => fixture.close());

  const enrolling = async (id: string, more: Parameters<typeof helloOf>[1] = {}): Promise<ScriptedMember> => {
    const member = await fixture.connect("join:default/reviews");
    member.say(helloOf(id, more));
    await member.next("welcome");
    await member.accept("trust");
    return member;
  };
  /** Settles when the server has read everything said before: it refuses what only a member may ask. */
  const heard = async (member: ScriptedMember): Promise<void> => {
    member.say({ type: "withdraw", id: 99, service: "default/none", endpointId: "none", state: "gone" });
    await member.next("refused", ({ id }) => id === 99);
  };

  it("is sent nothing but trust before it has its certificate, and the rest with it", async () => {
    const member = await enrolling("r1");
    member.say({ type: "subscribe", add: ["default/ratings"], remove: [] });
    await heard(member);
    await fixture.apply([service("ratings", { port: 81 })]);
    await heard(member);
    expect(member.unread).toEqual([]);
    member.say({ type: "certificate-request", id: 1, csr: "csr" });
    await member.next("certificate");
    const [policy, endpoints] = await Promise.all([member.accept("policy"), member.accept("endpoints")]);
    expect(Object.keys(policy.upserts)).toContain("service/default/ratings");
    expect(Object.keys(endpoints.upserts)).toEqual(["endpoints/default/ratings/-"]);
    await member.settled();
    expect(fixture.push.members.list()).toMatchObject([{ id: "r1", connected: true }]);
  });

  it("is cut off when it asks for no certificate for a minute, and not after it has one", async () => {
    await fixture.close();
    // The clock is moved at one stroke, which no ping's answer could follow.
    fixture = await new PushFixture({ pingIntervalMs: 2 * ENROLL_TIMEOUT_MS }).open();
    const [idle, busy] = [await fixture.connect("join:default/reviews"), await fixture.connect("join:default/reviews")];
    for (const [index, member] of [idle, busy].entries()) {
      member.say(helloOf(`m${index}`));
      await member.next("welcome");
    }
    busy.say({ type: "certificate-request", id: 1, csr: "good" });
    await busy.next("certificate");
    await fixture.clock.advanceAsync(ENROLL_TIMEOUT_MS);
    expect(await idle.next("refused")).toMatchObject({ code: "enroll-timeout" });
    expect(await idle.closed).toEqual({ code: 1008, reason: "enroll-timeout" });
    await busy.settled();
  });

  it("is told that a registration before its certificate comes too early, and may make it after", async () => {
    const member = await enrolling("r1");
    const register: Register = { type: "register", id: 1, service: "default/reviews", endpoint: endpoint("r1") };
    member.say(register);
    expect(await member.next("refused")).toEqual({
      type: "refused",
      id: 1,
      code: "unauthenticated",
      message: "a join token opens nothing but a certificate-request: ask for a certificate first, and again for this",
    });
    expect(fixture.registry.list().services).toEqual([]);
    member.say({ type: "certificate-request", id: 2, csr: "csr" });
    member.say({ ...register, id: 3 });
    await member.next("certificate");
    expect(await member.next("refused", ({ id }) => id === 3)).toMatchObject({ code: "unauthenticated" });
    member.say({ ...register, id: 4 });
    expect(await fixture.registered(member)).toEqual({ type: "done", id: 4 });
    expect(fixture.registry.list().services).toHaveLength(1);
  });

  it("gets nothing by a token that was used, and does not disturb the member that used it", async () => {
    const owner = await enrolling("r1");
    owner.say({ type: "certificate-request", id: 1, csr: "csr" });
    await owner.next("certificate");
    await owner.accept("policy");
    owner.say({ type: "register", id: 2, service: "default/reviews", endpoint: endpoint("r1") });
    await fixture.registered(owner);
    const thief = await enrolling("r1", { subscriptions: ["default/ratings"] });
    thief.say({ type: "certificate-request", id: 1, csr: "used" });
    expect(await thief.next("refused")).toEqual({
      type: "refused",
      code: "token-used",
      message: "the join token was used with another key",
    });
    expect(await thief.closed).toEqual({ code: 1008, reason: "token-used" });
    expect(thief.unread).toEqual([]);
    await owner.settled();
    expect(fixture.push.members.list()).toMatchObject([{ id: "r1", connected: true }]);
    expect(fixture.registry.list().services).toHaveLength(1);
  });

  it("stays when its request is refused for another reason, and may leave", async () => {
    const member = await enrolling("r1");
    member.say({ type: "certificate-request", id: 1, csr: "weak" });
    expect(await member.next("refused")).toMatchObject({ id: 1, code: "csr-key" });
    await heard(member);
    member.say({ type: "goodbye" });
    expect(await member.closed).toEqual({ code: 1000, reason: "goodbye" });
  });

  it("is not waited for by an apply before it has its certificate", async () => {
    await enrolling("r1");
    const { revision } = await fixture.apply([service("details")]);
    expect(await fixture.push.members.acknowledgement(revision, 60_000)).toMatchObject({ complete: true, pending: [] });
  });

  it("is refused with its certificate when its id belongs to another identity", async () => {
    const other = await fixture.connect("default/ratings");
    other.say(helloOf("r1"));
    await other.next("welcome");
    const member = await enrolling("r1");
    member.say({ type: "certificate-request", id: 1, csr: "csr" });
    await member.next("certificate");
    expect(await member.closed).toEqual({ code: 1008, reason: "identity-mismatch" });
  });

  it("is sent a change of trust even then", async () => {
    const member = await enrolling("r1");
    fixture.bundles.set([{ trustDomain: "cluster.local", roots: ["root", "next root"] }]);
    await fixture.publish();
    expect((await member.accept("trust")).begin.full).toBe(true);
  });
});

describe("a config-server of a later version", () => {
  const opened = (min: number, max: number): Promise<PushFixture> => new PushFixture({ versions: { min, max } }).open();

  it("serves a member that is two versions older, from its join to its goodbye", async () => {
    const fixture = await opened(1, 3);
    await fixture.apply([service("reviews"), service("ratings")]);
    const member = await fixture.connect("join:default/reviews");
    member.say(helloOf("old", { protocol: { min: 1, max: 1 }, subscriptions: ["default/ratings"] }));
    expect(await member.next("welcome")).toMatchObject({ protocol: 1 });
    await member.accept("trust");
    member.say({ type: "certificate-request", id: 1, csr: "csr" });
    await member.next("certificate");
    await Promise.all([member.accept("policy"), member.accept("endpoints")]);
    member.say({ type: "register", id: 2, service: "default/reviews", endpoint: endpoint("old") });
    await fixture.registered(member);
    const { revision } = await fixture.apply([service("ratings", { port: 81 })]);
    expect(await member.accept("policy")).toMatchObject({ revision, begin: { full: false } });
    await member.settled();
    expect(fixture.push.members.list()).toMatchObject([{ id: "old", protocol: 1, revisions: { policy: revision } }]);
    member.say({ type: "goodbye" });
    expect(await member.closed).toEqual({ code: 1000, reason: "goodbye" });
    await fixture.close();
  });

  it("speaks the highest version that both speak", async () => {
    const fixture = await opened(1, 3);
    const member = await fixture.connect();
    member.say(helloOf("newer", { protocol: { min: 2, max: 9 } }));
    expect(await member.next("welcome")).toMatchObject({ protocol: 3 });
    await fixture.close();
  });

  it("refuses a member that is older still, and names both ranges", async () => {
    const fixture = await opened(2, 4);
    const member = await fixture.connect();
    member.say(helloOf("old", { protocol: { min: 1, max: 1 } }));
    expect(await member.next("refused")).toEqual({
      type: "refused",
      code: "protocol-version",
      message: "the member speaks versions 1 to 1, the config-server 2 to 4: upgrade the member",
    });
    expect(await member.closed).toEqual({ code: 1008, reason: "protocol-version" });
    await fixture.close();
  });
});

describe("an upgrade that is refused", () => {
  const answerTo = async (fixture: PushFixture, token: string, path: string = MESH_PATH) => {
    const asked = request({
      port: fixture.port,
      path,
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        authorization: `Bearer ${token}`,
      },
    }).end();
    const [response] = await once(asked, "response");
    let body = "";
    for await (const chunk of response) body += chunk;
    return { status: response.statusCode, ...JSON.parse(body) };
  };

  it.each([
    ["nothing to show", "", MESH_PATH, 401, "unauthenticated"],
    ["an expired token", "expired", MESH_PATH, 401, "token-expired"],
    ["another mesh", "forbidden", MESH_PATH, 403, "identity-mismatch"],
    ["a failure of ours", "broken", MESH_PATH, 500, "internal"],
    ["another path", "default/reviews", "/other", 404, "not-found"],
  ])("for %s", async (_, token, path, status, code) => {
    const fixture = await new PushFixture().open();
    expect(await answerTo(fixture, token, path)).toMatchObject({ status, code, message: expect.any(String) });
    expect(fixture.push.members.list()).toEqual([]);
    await fixture.close();
  });

  it("without keeping the connection, whatever the peer does", async () => {
    const fixture = await new PushFixture().open();
    const socket = connect({ port: fixture.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => undefined);
    socket.write(`GET ${MESH_PATH} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`);
    await once(socket, "data");
    await expect.poll(() => fixture.push.counters().connections).toBe(0);
    socket.destroy();
    await fixture.close();
  });

  it("for one connection too many", async () => {
    const fixture = await new PushFixture({ maxConnections: 1 }).open();
    const member = await fixture.connect();
    expect(await answerTo(fixture, "default/reviews")).toMatchObject({ status: 503, code: "too-many" });
    member.socket.close();
    await member.closed;
    await expect.poll(() => fixture.push.counters().connections).toBe(0);
    await fixture.connect();
    await fixture.close();
  });
});
