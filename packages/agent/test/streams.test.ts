import type { ServerMessage } from "@tulle/protocol";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { endpoint, policies, reviews, route, useMembers } from "./member-fixture.ts";

const members = useMembers();

describe("the streams", () => {
  test("a policy that cannot be run is refused with the reason, the last good one stays, and endpoints still flow", async () => {
    const agent = await members.joined({
      validate: ({ outbound }) =>
        outbound.services.get("default/reviews")?.routes.some(({ name }) => name === "bad")
          ? "no such subset"
          : undefined,
    });
    const before = agent.outbound.current;
    const { member } = members.server;
    member.transact({
      stream: "policy",
      revision: "e.2",
      upserts: { "service/default/reviews": reviews(route("bad")) },
    });
    await expect
      .poll(() => member.of("nack"))
      .toEqual([{ type: "nack", stream: "policy", revision: "e.2", reason: "no such subset" }]);
    expect(agent.outbound.current).toBe(before);
    member.transact({
      stream: "endpoints",
      revision: "e.2",
      upserts: { "endpoints/default/reviews/-": { endpoints: [endpoint("r1", 1)] } },
    });
    await expect
      .poll(() => agent.outbound.current.services.get("default/reviews")?.endpoints)
      .toEqual([endpoint("r1", 1)]);
    expect(agent.outbound.current.revision).toBe("e.1");
    member.transact({
      stream: "policy",
      revision: "e.3",
      upserts: { "service/default/reviews": reviews(route("good")) },
    });
    await expect.poll(() => agent.outbound.current.revision).toBe("e.3");
    expect(agent.counters()).toMatchObject({ nacks: 1, protocolErrors: 0, connections: 1 });
  });

  test("a validator that throws refuses", async () => {
    let runnable = true;
    const validate = (): undefined => {
      if (!runnable) throw new Error("out of order");
    };
    await members.joined({ validate });
    runnable = false;
    members.server.member.transact({ stream: "policy", revision: "e.2" });
    await expect.poll(() => members.server.member.of("nack")).toMatchObject([{ reason: "out of order" }]);
  });

  test("a resource of the wrong shape is refused by name, and the connection stays", async () => {
    const agent = await members.joined();
    const { member } = members.server;
    member.transact({ stream: "trust", revision: "e.2", upserts: { "bundle/cluster.local": { names: [] } } });
    await expect
      .poll(() => member.of("nack"))
      .toEqual([
        {
          type: "nack",
          stream: "trust",
          revision: "e.2",
          reason: "bundle/cluster.local.trustDomain: expected a string of 1 to 253 characters, got nothing",
          resource: "bundle/cluster.local",
        },
      ]);
    expect(agent.state.current.state).toBe("joined");
  });

  test("what did not change keeps its identity from one snapshot to the next", async () => {
    const agent = await members.joined();
    const before = agent.outbound.current;
    const own = before.services.get("default/reviews")!;
    members.server.member.transact({
      stream: "policy",
      revision: "e.2",
      upserts: {
        "service/default/reviews": reviews(route("reviews"), route("second")),
        "service/default/ratings": { key: "default/ratings", policy: { kind: "Service", name: "ratings" }, routes: [] },
      },
    });
    await expect.poll(() => agent.outbound.current.revision).toBe("e.2");
    const after = agent.outbound.current.services.get("default/reviews")!;
    expect(after).not.toBe(own);
    expect(after.policy).toBe(own.policy);
    expect(after.endpoints).toBe(own.endpoints);
    expect(after.routes[0]).toBe(own.routes[0]);
    expect(agent.outbound.current.names).toBe(before.names);
    members.server.member.transact({
      stream: "endpoints",
      revision: "e.2",
      upserts: { "endpoints/default/reviews/-": { endpoints: [endpoint("r1", 1), endpoint("r2", 3)] } },
    });
    await expect.poll(() => agent.outbound.current.services.get("default/reviews")?.endpoints[1]?.port).toBe(3);
    const moved = agent.outbound.current.services.get("default/reviews")!;
    expect(moved.endpoints[0]).toBe(own.endpoints[0]);
    expect(moved.routes).toBe(after.routes);
    expect(agent.outbound.current.services.get("default/ratings")).toBeDefined();
  });

  test("a new bundle is a new generation of the same certificate", async () => {
    const agent = await members.joined();
    const before = agent.credentials.current!;
    const other = { trustDomain: "other.example", roots: [members.authority.root] };
    members.server.member.transact({ stream: "trust", revision: "e.2", upserts: { "bundle/other.example": other } });
    await expect.poll(() => agent.credentials.current?.generation).toBe(before.generation + 1);
    expect(agent.credentials.current).toMatchObject({
      certificateChain: before.certificateChain,
      bundles: [members.authority.bundle, other],
    });
  });
});

describe("what a config-server may not say ends the connection, and the member comes back", () => {
  const part = { type: "part", stream: "policy", revision: "e.2", index: 0, upserts: [], removals: [] };
  test.each<[title: string, say: string | Buffer, code: number, reason: string]>([
    ["no JSON", "{", 1002, "bad-json"],
    ["an unknown type", '{"type":"hi"}', 1002, "unknown-type"],
    ["a wrong shape", '{"type":"begin","stream":"policy","revision":"e.2"}', 1002, "bad-message"],
    ["a part without begin", JSON.stringify(part), 1002, "wrong-order"],
    ["a commit without begin", '{"type":"commit","stream":"trust","revision":"e.2","parts":0}', 1002, "wrong-order"],
    ["an older revision", '{"type":"begin","stream":"policy","revision":"e.0","full":false}', 1002, "behind"],
    ["a second welcome", "welcome", 1002, "wrong-order"],
    ["a binary frame", Buffer.from([1, 2, 3]), 1003, "binary-frame"],
    ["300 KiB", `"${"x".repeat(300_000)}"`, 1009, ""],
  ])("%s", async (_title, say, code, reason) => {
    const agent = await members.joined();
    const before = agent.outbound.current;
    const { member, members: all } = members.server;
    member.socket.send(say === "welcome" ? JSON.stringify(members.server.welcome()) : say);
    await expect.poll(() => member.closed).toEqual({ code, reason });
    await expect.poll(() => all.length).toBe(2);
    expect(agent.counters()).toMatchObject({ protocolErrors: 1 });
    expect(agent.outbound.current).toBe(before);
  });

  test("a stream before the welcome", async () => {
    members.server.script.onHello = (from) =>
      from.say({ type: "begin", stream: "policy", revision: "e.1", full: true } satisfies ServerMessage);
    members.member().start();
    await expect.poll(() => members.server.members[0]?.closed).toEqual({ code: 1002, reason: "wrong-order" });
  });
});

describe("discovery", () => {
  test("subscribes at the first use, and settles when policy and endpoints have come", async () => {
    const agent = await members.joined();
    const found = agent.discover("default/ratings");
    await expect
      .poll(() => members.server.member.of("subscribe"))
      .toEqual([{ type: "subscribe", add: ["default/ratings"], remove: [] }]);
    const { member } = members.server;
    const upserts = {
      "service/default/ratings": { key: "default/ratings", policy: { kind: "Service", name: "ratings" }, routes: [] },
    } as const;
    member.transact({ stream: "policy", revision: "e.1", upserts });
    member.transact({
      stream: "endpoints",
      revision: "e.2",
      upserts: { "endpoints/default/ratings/-": { endpoints: [] } },
    });
    await found;
    expect(agent.outbound.current.services.get("default/ratings")?.endpoints).toEqual([]);
    await agent.discover("default/ratings");
    expect(member.of("subscribe")).toHaveLength(1);
  });

  test("an unknown service fails after 2 s with a name that resembles it, and is given up", async () => {
    const clock = new FakeClock(0, Date.now());
    const agent = await members.joined({ clock });
    const found = agent.discover("default/review");
    const failed = expect(found).rejects.toThrow(
      "UNKNOWN_SERVICE: the service default/review could not be learned within 2000 ms; perhaps reviews.default",
    );
    clock.advance(2_000);
    await failed;
    await expect
      .poll(() => members.server.member.of("subscribe").at(-1))
      .toEqual({ type: "subscribe", add: [], remove: ["default/review"] });
  });

  test("a service that the names hold is not called unknown for its name", async () => {
    const clock = new FakeClock(0, Date.now());
    const agent = await members.joined({ clock });
    const upserts = { "names/-": { names: [{ key: "default/ratings" }] } } as const;
    members.server.member.transact({ stream: "policy", revision: "e.2", upserts });
    await expect.poll(() => agent.outbound.current.revision).toBe("e.2");
    const failed = expect(agent.discover("default/ratings")).rejects.toThrow(
      "it is in the mesh, but the config-server did not answer",
    );
    clock.advance(2_000);
    await failed;
  });

  test("before any name has come, it is the names that are unknown", async () => {
    const clock = new FakeClock();
    const agent = members.member({ clock });
    const failed = expect(agent.discover("default/reviews")).rejects.toMatchObject({ code: "NAMES_UNKNOWN" });
    clock.advance(2_000);
    await failed;
  });

  test("an aborted caller is rejected with its reason while others wait on", async () => {
    const agent = await members.joined();
    const abort = new AbortController();
    const given = expect(agent.discover("default/ratings", abort.signal)).rejects.toThrow("enough");
    abort.abort(new Error("enough"));
    await given;
  });

  test("callers at the same time share one subscription and one wait, and a call that is given up leaves nothing", async () => {
    const clock = new FakeClock(0, Date.now());
    const agent = await members.joined({ clock });
    const timers = clock.pendingTimers;
    const abort = new AbortController();
    const given = expect(agent.discover("default/ratings", abort.signal)).rejects.toThrow("enough");
    const others = [1, 2, 3].map(() => expect(agent.discover("default/ratings")).rejects.toThrow("UNKNOWN_SERVICE"));
    expect(clock.pendingTimers).toBe(timers + 1);
    abort.abort(new Error("enough"));
    await given;
    clock.advance(2_000);
    await Promise.all(others);
    await expect
      .poll(() => members.server.member.of("subscribe"))
      .toEqual([
        { type: "subscribe", add: ["default/ratings"], remove: [] },
        { type: "subscribe", add: [], remove: ["default/ratings"] },
      ]);
    expect(agent.counters()).toMatchObject({ discoveries: 1, discoveriesFailed: 1, discoveryOverflows: 0 });
  });

  test("waits as long as the member says, and for no more than 1,000 calls", async () => {
    const clock = new FakeClock(0, Date.now());
    const agent = await members.joined({ clock, discoveryTimeoutMs: 50 });
    const waiting = Array.from({ length: 1_000 }, () => agent.discover("default/ratings"));
    await expect(agent.discover("default/other")).rejects.toMatchObject({ code: "OVERFLOW_PENDING" });
    clock.advance(50);
    const ends = await Promise.allSettled(waiting);
    expect(ends.every(({ status }) => status === "rejected")).toBe(true);
    expect(ends[0]).toMatchObject({ reason: { message: expect.stringContaining("within 50 ms") } });
    expect(agent.counters()).toMatchObject({ discoveryOverflows: 1 });
  });

  test("of a service whose policy this member has refused says so, with the reason, and stays subscribed", async () => {
    const clock = new FakeClock(0, Date.now());
    const validate = ({ outbound }: { outbound: { services: ReadonlyMap<string, unknown> } }) =>
      outbound.services.has("default/ratings") ? "no such regex" : undefined;
    const agent = await members.joined({ clock, validate });
    const { member } = members.server;
    const failed = expect(agent.discover("default/ratings")).rejects.toThrow(
      /UNKNOWN_SERVICE: .*this member has refused revision e\.2 of the policy: no such regex/,
    );
    member.transact({
      stream: "policy",
      revision: "e.2",
      upserts: {
        "names/-": { names: [{ key: "default/ratings" }, { key: "default/reviews" }] },
        "service/default/ratings": { key: "default/ratings", policy: { kind: "Service", name: "ratings" }, routes: [] },
      },
    });
    await expect.poll(() => member.of("nack")).toHaveLength(1);
    clock.advance(2_000);
    await failed;

    // At the revision that it holds it learns of another one meanwhile.
    const found = agent.discover("default/details");
    member.transact({
      stream: "policy",
      revision: "e.1",
      upserts: {
        "service/default/details": { key: "default/details", policy: { kind: "Service", name: "details" }, routes: [] },
      },
    });
    member.transact({
      stream: "endpoints",
      revision: "e.2",
      upserts: { "endpoints/default/details/-": { endpoints: [] } },
    });
    await found;
    expect(agent.outbound.current.revision).toBe("e.1");
    expect(member.closed).toBeUndefined();
  });

  test("of a member that leaves fails at once", async () => {
    const agent = await members.joined();
    const failed = expect(agent.discover("default/ratings")).rejects.toMatchObject({ code: "MESH_CLOSED" });
    await agent.leave();
    await failed;
  });

  test("dependencies are in the hello", async () => {
    const agent = await members.joined({ dependencies: ["reviews", "ratings.other"] });
    expect(members.server.member.hello?.subscriptions).toEqual(["default/reviews", "other/ratings"]);
    await agent.discover("default/reviews");
    expect(members.server.member.of("subscribe")).toEqual([]);
    expect(Object.keys(policies)).toContain("service/default/reviews");
  });
});
