import {
  compileSplit,
  effectiveSessionAffinity,
  type HashKey,
  type ServiceKey,
  type SessionAffinity,
} from "@tulle/policy";
import { FakeClock, seededRandom } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { callOf, ScriptedReply } from "../../test/scripted.ts";
import { compileCallHash } from "../hashing/hash-call.ts";
import { xxh64 } from "../hashing/xxh64.ts";
import { Sessions } from "./session.ts";
import { type ReadyDestination, splitTraffic } from "./split-traffic.ts";

interface Setting {
  readonly sticky?: readonly HashKey[];
  readonly affinity?: SessionAffinity;
  readonly clock?: FakeClock;
  readonly service?: ServiceKey;
}

/** A split between subsets by their weights, whose destinations answer at once. */
const splitOf = (
  weights: Record<string, number>,
  { sticky, affinity, clock = new FakeClock(), service = "default/reviews" }: Setting = {},
) => {
  const written = Object.entries(weights).map(([subset, weight]) => ({ subset, weight }));
  const ready = new Map(
    written.map((each): [typeof each, ReadyDestination] => [
      each,
      { plan: { destination: service, subset: each.subset }, send: () => Promise.resolve(new ScriptedReply(200)) },
    ]),
  );
  const names = new Map([...ready.values()].map((each) => [`${service}:${each.plan.subset}`, each]));
  const seed = xxh64(service);
  const source = { service: "default/productpage", instance: "1" };
  return splitTraffic({
    split: compileSplit(written),
    ready,
    random: seededRandom(5),
    hash: sticky && compileCallHash(sticky, source, seed),
    sessions: affinity && new Sessions(effectiveSessionAffinity(affinity), names, seed, clock),
  });
};

const send = async (split: ReturnType<typeof splitOf>, headers: string[] = []) => {
  const call = callOf({ headers });
  const reply = await split(call);
  return { subset: call.subset, plan: call.plan, reply, cookie: reply.headers["set-cookie"] };
};

const users = Array.from({ length: 4_000 }, (_, n) => `user-${n}`);
const drawnFor = async (split: ReturnType<typeof splitOf>) =>
  Promise.all(users.map(async (user) => (await send(split, ["x-user", user])).subset));
const sticky: readonly HashKey[] = [{ header: "x-user" }];

describe("a sticky split", () => {
  test("draws equal keys alike, in this process and in others", async () => {
    const [here, there] = [splitOf({ v1: 80, v2: 20 }, { sticky }), splitOf({ v1: 80, v2: 20 }, { sticky })];
    expect(await drawnFor(here)).toEqual(await drawnFor(there));
  });

  test("shares the keys by weight, and never chooses a weight of 0", async () => {
    const drawn = await drawnFor(splitOf({ v1: 4, off: 0, v2: 1 }, { sticky }));
    const second = drawn.filter((subset) => subset === "v2").length;
    // Six standard deviations of a fifth.
    expect(Math.abs(second - users.length / 5)).toBeLessThan(6 * Math.sqrt(users.length * 0.2 * 0.8));
    expect(drawn).not.toContain("off");
  });

  test("moves only the keys whose share moves when weights change, their sum included", async () => {
    const before = await drawnFor(splitOf({ v1: 4, v2: 1 }, { sticky }));
    const after = await drawnFor(splitOf({ v1: 70, v2: 30 }, { sticky }));
    const moved = before.flatMap((subset, at) => (subset === after[at] ? [] : [`${subset} to ${after[at]}`]));
    expect(new Set(moved)).toEqual(new Set(["v1 to v2"]));
    expect(Math.abs(moved.length - users.length / 10)).toBeLessThan(6 * Math.sqrt(users.length * 0.1 * 0.9));
  });

  test("of another service draws the same keys for itself", async () => {
    const reviews = await drawnFor(splitOf({ v1: 50, v2: 50 }, { sticky }));
    const ratings = await drawnFor(splitOf({ v1: 50, v2: 50 }, { sticky, service: "default/ratings" }));
    const alike = reviews.filter((subset, at) => subset === ratings[at]).length;
    expect(Math.abs(alike - users.length / 2)).toBeLessThan(6 * Math.sqrt(users.length / 4));
  });

  test("leaves calls without a key to chance", async () => {
    const split = splitOf({ v1: 50, v2: 50 }, { sticky });
    const drawn = await Promise.all(users.map(async () => (await send(split)).subset));
    const first = drawn.filter((subset) => subset === "v1").length;
    expect(Math.abs(first - users.length / 2)).toBeLessThan(6 * Math.sqrt(users.length / 4));
  });
});

const cookieIn = (set: string | string[] | undefined): string => String(set).split(";")[0] ?? "";

describe("session affinity", () => {
  const affinity: SessionAffinity = { cookie: {} };

  test("tells a session on the reply to its first call, and on no other", async () => {
    const split = splitOf({ v1: 50, v2: 50 }, { affinity });
    const first = await send(split);
    expect(String(first.cookie)).toMatch(/^tulle-session=1\.[0-9a-f]{16}\.[0-9a-z]+; Path=\/; HttpOnly$/);
    const second = await send(split, ["cookie", cookieIn(first.cookie)]);
    expect([second.subset, second.cookie]).toEqual([first.subset, undefined]);
  });

  test("stays when the weights change, also to 0, and ends when the destination leaves the split", async () => {
    const first = await send(splitOf({ v1: 0, v2: 100 }, { affinity }));
    const headers = ["cookie", `a=b; ${cookieIn(first.cookie)}`];
    expect((await send(splitOf({ v1: 99, v2: 1 }, { affinity }), headers)).subset).toBe("v2");
    expect((await send(splitOf({ v1: 100, v2: 0 }, { affinity }), headers)).subset).toBe("v2");
    const moved = await send(splitOf({ v1: 100 }, { affinity }), headers);
    expect(moved.subset).toBe("v1");
    expect(cookieIn(moved.cookie)).toMatch(/^tulle-session=1\./);
    expect(cookieIn(moved.cookie)).not.toBe(cookieIn(first.cookie));
  });

  test("comes before the hash of a sticky split", async () => {
    const split = splitOf({ v1: 50, v2: 50 }, { affinity, sticky });
    const drawn = await drawnFor(split);
    const [one, other] = [users[drawn.indexOf("v1")]!, users[drawn.indexOf("v2")]!];
    const { cookie } = await send(split, ["x-user", one]);
    expect((await send(split, ["x-user", other, "cookie", cookieIn(cookie)])).subset).toBe("v1");
  });

  test("is kept even where one destination is all there is, for those that may come", async () => {
    const first = await send(splitOf({ v1: 1 }, { affinity }));
    expect((await send(splitOf({ v1: 0, v2: 1 }, { affinity }), ["cookie", cookieIn(first.cookie)])).subset).toBe("v1");
  });

  test("is over after its time, counted from its first call", async () => {
    const clock = new FakeClock();
    const timed: SessionAffinity = { cookie: {}, ttl: "10m" };
    const first = await send(splitOf({ v1: 1 }, { affinity: timed, clock }));
    expect(String(first.cookie)).toContain("; Max-Age=600;");
    const changed = splitOf({ v1: 0, v2: 1 }, { affinity: timed, clock });
    const headers = ["cookie", cookieIn(first.cookie)];
    clock.advance(599_000);
    expect((await send(changed, headers)).subset).toBe("v1");
    clock.advance(1_000);
    expect((await send(changed, headers)).subset).toBe("v2");
  });

  test("goes by a header where the policy says so", async () => {
    const split = splitOf({ v1: 50, v2: 50 }, { affinity: { header: "X-Session" } });
    const { subset, reply } = await send(split);
    const value = String(reply.headers["x-session"]);
    expect(value).toMatch(/^1\./);
    const second = await send(split, ["x-session", value]);
    expect([second.subset, second.reply.headers["x-session"]]).toEqual([subset, undefined]);
  });

  test.each(["", "1", "1.", "2.0000000000000000.a", "1.0000000000000000.a", "1.%.%", "x".repeat(10_000)])(
    "a value that is none of ours begins a new session: %.40s",
    async (value) => {
      const { cookie } = await send(splitOf({ v1: 1, v2: 1 }, { affinity }), ["cookie", `tulle-session=${value}`]);
      expect(cookieIn(cookie)).toMatch(/^tulle-session=1\./);
    },
  );

  test("a session with another service means nothing here", async () => {
    const elsewhere = await send(splitOf({ v1: 1 }, { affinity, service: "default/ratings" }));
    const here = await send(splitOf({ v1: 0, v2: 1 }, { affinity }), ["cookie", cookieIn(elsewhere.cookie)]);
    expect(here.subset).toBe("v2");
  });

  test("fields that a later version puts behind ours are passed over", async () => {
    const first = await send(splitOf({ v1: 1 }, { affinity }));
    const longer = `${cookieIn(first.cookie)}.endpoint-7`;
    expect((await send(splitOf({ v1: 0, v2: 1 }, { affinity }), ["cookie", longer])).subset).toBe("v1");
  });
});
