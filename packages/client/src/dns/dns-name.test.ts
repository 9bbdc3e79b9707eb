import { AsyncResource } from "node:async_hooks";
import { FakeClock } from "@tulle/testing";
import { beforeEach, describe, expect, test } from "vitest";
import { ScriptedResolver } from "../../test/outside-kit.ts";
import { LONGEST_TTL_MS, RESOLUTION_DELAY_MS, SHORTEST_TTL_MS, TTL_WITHOUT_MS } from "./ask-dns.ts";
import { DnsName, LAST_GOOD_MS, LAST_GOOD_NEGATIVE_MS, NEGATIVE_TTL_MS } from "./dns-name.ts";

const HOST = "api.example";

let clock: FakeClock;
let resolver: ScriptedResolver;
let counters: { dnsQueries: number; dnsFailures: number; dnsLastGoodKept: number; dnsWaits: number };
let changes: number;

beforeEach(() => {
  clock = new FakeClock();
  resolver = new ScriptedResolver();
  counters = { dnsQueries: 0, dnsFailures: 0, dnsLastGoodKept: 0, dnsWaits: 0 };
  changes = 0;
});

const nameOf = (...names: string[]): DnsName =>
  new DnsName(
    names.length === 0 ? [HOST] : names,
    // No chance in the middle of every range: 0.5 adds nothing to a pause of "± 25 %".
    { resolver, clock, random: () => 0.5, counters, home: new AsyncResource("test") },
    () => changes++,
  );

const answer = (ttlMs: number, ...addresses: string[]): void => {
  resolver.answers.set(
    HOST,
    addresses.map((address) => ({ address, ttlMs, family: address.includes(":") ? (6 as const) : (4 as const) })),
  );
};

/** A call now, and the settling of all that it began. */
const use = async (name: DnsName): Promise<string> => {
  const state = name.use(clock.now());
  await clock.advanceAsync(0);
  return state;
};

describe("a name", () => {
  test("is asked for at its first use, once for all callers, and its first callers wait", async () => {
    answer(60_000, "10.0.0.1", "10.0.0.2");
    const name = nameOf();
    expect([name.use(0), name.use(0), name.use(0)]).toEqual(["waiting", "waiting", "waiting"]);
    await clock.advanceAsync(0);
    expect(name.addresses).toEqual(["10.0.0.1", "10.0.0.2"]);
    expect(name.use(0)).toBe("ready");
    expect({ counters, changes }).toMatchObject({ counters: { dnsQueries: 1 }, changes: 1 });
  });

  test("in use is asked for again before its TTL ends, so that nobody waits", async () => {
    answer(10_000, "10.0.0.1");
    const name = nameOf();
    await use(name);
    for (let second = 0; second < 60; second++) {
      expect(await use(name)).toBe("ready");
      await clock.advanceAsync(1_000);
    }
    // At once, then every 7.5 s, and not once a second.
    expect(counters.dnsQueries).toBe(1 + 60 / 7.5);
  });

  test("out of use is left alone, and its next call waits for a new answer", async () => {
    answer(10_000, "10.0.0.1");
    const name = nameOf();
    await use(name);
    await clock.advanceAsync(3_600_000);
    expect(counters.dnsQueries).toBe(1);
    expect(clock.pendingTimers).toBe(0);
    answer(10_000, "10.0.0.9");
    expect(await use(name)).toBe("waiting");
    expect(name.addresses).toEqual(["10.0.0.9"]);
  });

  test("in use goes on with its answer while a question that was asked in time is slow", async () => {
    answer(10_000, "10.0.0.1");
    const name = nameOf();
    await use(name);
    await use(name);
    resolver.answers.set(HOST, undefined);
    await clock.advanceAsync(11_000);
    expect(await use(name)).toBe("ready");
    expect(name.addresses).toEqual(["10.0.0.1"]);
  });

  test.each([
    ["no shorter than a bound", 0, SHORTEST_TTL_MS],
    ["no longer than a bound", 86_400_000, LONGEST_TTL_MS],
    ["as it was said between", 42_000, 42_000],
  ])("counts %s", async (_, ttlMs, countsMs) => {
    answer(ttlMs, "10.0.0.1");
    const name = nameOf();
    await use(name);
    await clock.advanceAsync(countsMs - 1);
    expect(name.use(clock.now())).toBe("ready");
    const idle = nameOf();
    await use(idle);
    await clock.advanceAsync(countsMs);
    expect(idle.use(clock.now())).toBe("waiting");
  });
});

describe("when DNS fails", () => {
  test("the last good answer is used for an hour, and DNS is asked again after 1 s, 2 s, 4 s, up to 30 s", async () => {
    answer(10_000, "10.0.0.1");
    const name = nameOf();
    await use(name);
    await use(name);
    resolver.answers.set(HOST, "ESERVFAIL");
    const asked: number[] = [];
    let before = counters.dnsQueries;
    for (let second = 0; second < 120; second++) {
      expect(name.use(clock.now())).toBe("ready");
      await clock.advanceAsync(1_000);
      if (counters.dnsQueries > before) asked.push(second);
      before = counters.dnsQueries;
    }
    const pauses = asked.slice(1).map((each, at) => each - (asked[at] ?? 0));
    expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30]);
    expect(counters.dnsLastGoodKept).toBe(counters.dnsFailures);
    await clock.advanceAsync(LAST_GOOD_MS);
    await use(name);
    expect(await use(name)).toBe("failed");
    expect(name.addresses).toEqual([]);
  });

  test("for a name that does not exist any more, the last good answer is used for a minute", async () => {
    answer(10_000, "10.0.0.1");
    const name = nameOf();
    await use(name);
    await use(name);
    resolver.answers.set(HOST, "ENOTFOUND");
    await clock.advanceAsync(10_000);
    expect(await use(name)).toBe("ready");
    await clock.advanceAsync(LAST_GOOD_NEGATIVE_MS);
    await use(name);
    expect(await use(name)).toBe("failed");
  });

  test("a name that does not exist is not asked for again for a moment, and then it is", async () => {
    const name = nameOf();
    expect(await use(name)).toBe("waiting");
    expect(await use(name)).toBe("failed");
    expect(name.failure).toMatchObject({ code: "ENOTFOUND" });
    await clock.advanceAsync(NEGATIVE_TTL_MS - 1);
    expect(await use(name)).toBe("failed");
    expect(counters.dnsQueries).toBe(1);
    answer(60_000, "10.0.0.1");
    await clock.advanceAsync(1);
    expect(await use(name)).toBe("waiting");
    expect(await use(name)).toBe("ready");
  });

  test("nothing is asked, told or timed after the end", async () => {
    answer(10_000, "10.0.0.1");
    const name = nameOf();
    await use(name);
    await use(name);
    name.close();
    expect(clock.pendingTimers).toBe(0);
    const late = nameOf();
    late.use(clock.now());
    late.close();
    await clock.advanceAsync(60_000);
    expect({ queries: counters.dnsQueries, changes, timers: clock.pendingTimers }).toEqual({
      queries: 2,
      changes: 1,
      timers: 0,
    });
  });
});

describe("the addresses of a name", () => {
  test("are those of both families, IPv4 first, the same list for the same answer", async () => {
    resolver.known = [4, 6];
    answer(60_000, "10.0.0.2", "2001:db8::1", "10.0.0.1");
    const name = nameOf();
    await use(name);
    expect(name.addresses).toEqual(["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
    expect(resolver.asked).toEqual([`A ${HOST}`, `AAAA ${HOST}`]);
  });

  test("are IPv4's alone, and nobody asks for others, on a machine without IPv6", async () => {
    answer(60_000, "10.0.0.1", "2001:db8::1");
    const name = nameOf();
    await use(name);
    expect(name.addresses).toEqual(["10.0.0.1"]);
    expect(resolver.asked).toEqual([`A ${HOST}`]);
  });

  test("do not wait for a server that drops questions for IPv6", async () => {
    resolver.known = [4, 6];
    answer(60_000, "10.0.0.1");
    resolver.answers.set(`${HOST}/6`, undefined);
    const name = nameOf();
    await use(name);
    expect(name.addresses).toEqual([]);
    await clock.advanceAsync(RESOLUTION_DELAY_MS);
    expect(name.addresses).toEqual(["10.0.0.1"]);
  });

  test("are IPv6's where there are no others", async () => {
    resolver.known = [4, 6];
    answer(60_000, "2001:db8::1");
    const name = nameOf();
    await use(name);
    expect(name.addresses).toEqual(["2001:db8::1"]);
  });

  test("come from the operating system where no server has any, and then count for a short time", async () => {
    resolver.hostsFile.set(HOST, ["10.9.9.9"]);
    const name = nameOf();
    await use(name);
    expect(name.addresses).toEqual(["10.9.9.9"]);
    await clock.advanceAsync(TTL_WITHOUT_MS);
    expect(name.use(clock.now())).toBe("waiting");
  });

  test("are those of the first of several names that has some", async () => {
    resolver.answers.set("second.example", [{ address: "10.0.0.2", ttlMs: 60_000 }]);
    const name = nameOf("first.example", "second.example", "third.example");
    await use(name);
    expect(name.addresses).toEqual(["10.0.0.2"]);
    expect(resolver.asked).toEqual(["A first.example", "lookup first.example", "A second.example"]);
  });

  test("keep the failure of DNS itself before the word that there is no such name", async () => {
    resolver.answers.set("first.example", "ETIMEOUT");
    const name = nameOf("first.example", "second.example");
    await use(name);
    expect(name.failure).toMatchObject({ code: "ETIMEOUT" });
  });
});
