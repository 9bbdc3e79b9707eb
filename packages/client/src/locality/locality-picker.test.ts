import type { EffectiveLocality, Endpoint } from "@tulle/policy";
import { seededRandom } from "@tulle/testing";
import { balanced } from "@tulle/testing/balancing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pickUsable } from "../balancing/pick-usable.ts";
import { pickerContract } from "../balancing/picker.contract.ts";
import { type Balanced, createPicker, type Picker } from "../balancing/picker.ts";
import { xxh64 } from "../hashing/xxh64.ts";
import { LocalityPicker, type LocalityPickerOptions, RECOUNT_MS } from "./locality-picker.ts";

const FAILOVER: EffectiveLocality = {
  mode: "failover",
  failover: [],
  failoverPriority: undefined,
  overprovisioningPercent: 140,
};
const HERE: Endpoint["locality"] = { region: "eu", zone: "a" };

const pickerOf = (policy: EffectiveLocality, options: Partial<LocalityPickerOptions> = {}): LocalityPicker => {
  const random = seededRandom(5);
  return new LocalityPicker({
    policy,
    place: { locality: HERE, labels: {} },
    makePicker: () => createPicker({ algorithm: "round-robin" }, { random }),
    random,
    ...options,
  });
};

/** `count` endpoints of a zone, `eu/a-0` and so on. */
const zone = (name: string, count: number): Balanced[] => {
  const [region = "", of = ""] = name.split("/");
  return Array.from({ length: count }, (_, place) => balanced(`${name}-${place}`, { locality: { region, zone: of } }));
};
const eject = (candidates: readonly Balanced[], count = candidates.length, untilMs = 1_000_000): void => {
  for (const { figures } of candidates.slice(0, count)) figures.outlier.ejectedUntilMs = untilMs;
};
const lose = (candidates: readonly Balanced[], count = candidates.length): void => {
  for (const { figures } of candidates.slice(0, count)) {
    figures.reach.failures = 1;
    figures.reach.avoidedUntilMs = 1_000_000;
  }
};

/** Percent of 10,000 picks by zone. */
const sharesOf = (picker: Picker, candidates: readonly Balanced[], panicPercent = 50): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (let pick = 0; pick < 10_000; pick++) {
    const picked = pickUsable(picker, candidates, undefined, 500, panicPercent, seededRandom(2));
    const name = picked!.endpoint.id.replace(/-\d+$/, "");
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return Object.fromEntries(Object.entries(counts).map(([name, each]) => [name, Math.round(each / 100)]));
};

pickerContract("a choice by locality", (random) =>
  pickerOf(FAILOVER, { random, makePicker: () => createPicker({ algorithm: "round-robin" }, { random }) }),
);

describe("failover", () => {
  test.each([
    [0, 100, 0],
    [2, 100, 0],
    [5, 70, 30],
    [8, 28, 72],
    [10, 0, 100],
  ])(
    "of ten endpoints in the zone %i are ejected: %i percent of the calls stay, %i go to the region",
    (ejected, here, there) => {
      const [near, far] = [zone("eu/a", 10), zone("eu/b", 10)];
      eject(near, ejected);
      const shares = sharesOf(pickerOf(FAILOVER), [...near, ...far]);
      expect(Math.abs((shares["eu/a"] ?? 0) - here)).toBeLessThanOrEqual(2);
      expect(Math.abs((shares["eu/b"] ?? 0) - there)).toBeLessThanOrEqual(2);
    },
  );

  test("endpoints that cannot be reached count as little as ejected ones", () => {
    const [near, far] = [zone("eu/a", 4), zone("us/a", 4)];
    lose(near, 2);
    const { "eu/a": stays = 0 } = sharesOf(pickerOf(FAILOVER), [...near, ...far]);
    expect(Math.abs(stays - 70)).toBeLessThanOrEqual(2);
  });

  test("endpoints that the registry says cannot serve count in the health of their tier", () => {
    const near = zone("eu/a", 4);
    const registered = [...near, ...zone("eu/b", 4)];
    const candidates = registered.filter((each) => each !== near[0] && each !== near[1]);
    const { "eu/a": stays = 0 } = sharesOf(pickerOf(FAILOVER, { registered: () => registered }), candidates);
    expect(Math.abs(stays - 70)).toBeLessThanOrEqual(2);
  });

  test("endpoints of other subsets do not count", () => {
    const near = zone("eu/a", 2).map((each) => ({
      ...each,
      endpoint: { ...each.endpoint, labels: { version: "v1" } },
    }));
    const picker = pickerOf(FAILOVER, {
      registered: () => [...near, ...zone("eu/a", 20)],
      labels: { version: "v1" },
    });
    expect(picker.describe(near, 0, 50).groups).toMatchObject([{ name: "same zone", healthy: 2, total: 2 }]);
  });

  test("an ejected one gets no call, however few are left of its zone", () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(5), fc.integer({ min: 1, max: 6 }), (bad, worse, count) => {
        const [near, far] = [zone("eu/a", count), zone("eu/b", count)];
        eject(near, bad);
        lose(far, worse);
        const good = [...near.slice(bad), ...far.slice(worse)];
        const picker = pickerOf(FAILOVER);
        for (let pick = 0; pick < 20; pick++) {
          const picked = pickUsable(picker, [...near, ...far], undefined, 500, 0, seededRandom(2));
          if (good.length > 0) expect(good).toContain(picked);
          else expect(picked).toBeDefined();
        }
      }),
    );
  });

  test("ejections are ignored in tiers that panic, and only there", () => {
    const [near, far] = [zone("eu/a", 10), zone("eu/b", 10)];
    eject(near, 9);
    eject(far, 5);
    const picker = pickerOf(FAILOVER);
    const picks = new Set<Balanced | undefined>();
    for (let pick = 0; pick < 2_000; pick++)
      picks.add(pickUsable(picker, [...near, ...far], undefined, 500, 50, seededRandom(2)));
    expect(near.every((each) => picks.has(each))).toBe(true);
    expect(far.filter((each) => picks.has(each))).toEqual(far.slice(5));
  });

  test("a call that was tried everywhere in the zone goes on to the next tier", () => {
    const [near, far] = [zone("eu/a", 1), zone("eu/b", 2)];
    const picked = pickUsable(pickerOf(FAILOVER), [...near, ...far], new Set(["eu/a-0"]), 0, 50, seededRandom(2));
    expect(far).toContain(picked);
    const all = new Set([...near, ...far].map(({ endpoint }) => endpoint.id));
    expect(pickUsable(pickerOf(FAILOVER), [...near, ...far], all, 0, 50, seededRandom(2))).toBeDefined();
  });

  test("whoever fails between two counts is passed over at once, and counted within the time of a count", () => {
    const [near, far] = [zone("eu/a", 1), zone("eu/b", 1)];
    const candidates = [...near, ...far];
    const picker = pickerOf(FAILOVER);
    expect(pickUsable(picker, candidates, undefined, 0, 50, seededRandom(2))).toBe(near[0]);
    eject(near);
    expect(pickUsable(picker, candidates, undefined, 1, 50, seededRandom(2))).toBe(far[0]);
    expect(picker.describe(candidates, 1, 50).groups[0]).toMatchObject({ healthy: 1 });
    expect(picker.describe(candidates, RECOUNT_MS, 50).groups[0]).toMatchObject({ healthy: 0, loadPercent: 0 });
  });

  test("a region that stands in for the caller's comes before the others", () => {
    const policy: EffectiveLocality = { ...FAILOVER, failover: [{ from: "eu", to: "uk" }] };
    expect(sharesOf(pickerOf(policy), [...zone("us/a", 3), ...zone("uk/a", 3)])).toEqual({ "uk/a": 100 });
  });

  test("a caller that does not know where it is calls all alike, and the description says why", () => {
    const picker = pickerOf(FAILOVER, { place: { locality: undefined, labels: {} } });
    const candidates = [...zone("eu/a", 1), ...zone("eu/b", 1)];
    expect(sharesOf(picker, candidates)).toEqual({ "eu/a": 50, "eu/b": 50 });
    expect(picker.describe(candidates, 0, 50).why).toBe("this member does not know its own locality");
  });

  test("an order of labels needs no locality", () => {
    const policy: EffectiveLocality = { ...FAILOVER, failoverPriority: ["rack"] };
    const picker = pickerOf(policy, { place: { locality: undefined, labels: { rack: "1" } } });
    const candidates = [balanced("x-0", { labels: { rack: "1" } }), balanced("y-0", { labels: { rack: "2" } })];
    expect(sharesOf(picker, candidates)).toEqual({ x: 100 });
  });

  test("equal keys go to equal endpoints, near ones and those that the rest goes to", () => {
    const [near, far] = [zone("eu/a", 10), zone("eu/b", 10)];
    eject(near, 5);
    const random = seededRandom(9);
    const picker = pickerOf(FAILOVER, {
      random,
      makePicker: () => createPicker({ algorithm: "maglev", tableSize: 251, balanceFactor: undefined }, { random }),
    });
    let nearby = 0;
    for (let key = 0; key < 500; key++) {
      const hash = xxh64(`user-${key}`);
      const pick = () => pickUsable(picker, [...near, ...far], undefined, 500, 50, seededRandom(2), hash)?.endpoint.id;
      const candidates = [...near, ...far];
      const first = pickUsable(picker, candidates, undefined, 500, 50, seededRandom(2), hash)?.endpoint.id;
      expect(pick()).toBe(first);
      if (first?.startsWith("eu/a") === true) nearby++;
    }
    expect(nearby / 5).toBeGreaterThan(60);
    expect(nearby / 5).toBeLessThan(80);
  });
});

describe("when the endpoints change", () => {
  test("turns in a zone go on where another zone changes", () => {
    const near = zone("eu/a", 3);
    const picker = pickerOf(FAILOVER);
    const picks: (string | undefined)[] = [];
    for (let turn = 0; turn < 6; turn++) {
      // A new list each time, as after a push; the zone's own endpoints are the same.
      picks.push(pickUsable(picker, [...near, ...zone("eu/b", turn)], undefined, 0, 50, seededRandom(2))?.endpoint.id);
    }
    expect(picks.slice(0, 3).toSorted()).toEqual(["eu/a-0", "eu/a-1", "eu/a-2"]);
    expect(picks.slice(3)).toEqual(picks.slice(0, 3));
  });
});

test("each balancer hears the end of what it began, also when localities cease to matter in between", () => {
  const open: number[] = [];
  const makePicker = (): Picker => {
    const own = open.push(0) - 1;
    const inner = createPicker({ algorithm: "random" }, { random: seededRandom(1) });
    return {
      name: "counting",
      pick: (...args) => inner.pick(...args),
      start: () => {
        open[own]! += 1;
      },
      end: () => {
        open[own]! -= 1;
        expect(open[own]).toBeGreaterThanOrEqual(0);
      },
      explain: () => [],
    };
  };
  const candidates = [...zone("eu/a", 3), ...zone("eu/b", 3)];
  const picker = pickerOf(
    { mode: "zone-aware", minimumClusterSize: 6, routingEnabledPercent: 50, forceLocalZoneMinimum: undefined },
    { makePicker },
  );
  const begun: Balanced[] = [];
  for (let call = 0; call < 200; call++) {
    if (call === 100) eject(candidates, 1);
    const picked = pickUsable(picker, candidates, undefined, call * 10, 50, seededRandom(2))!;
    picker.start(picked, call * 10);
    begun.push(picked);
  }
  // The whole and the caller's zone; the other zone got nothing.
  expect(open.filter((each) => each > 0)).toHaveLength(2);
  for (const each of begun) picker.end(each, 3_000, { rttMs: 1, failed: false });
  expect(open).toEqual(open.map(() => 0));
});

describe("distribution", () => {
  const policy: EffectiveLocality = {
    mode: "distribute",
    distribute: [{ from: "eu/a/*", to: { "eu/a/*": 80, "eu/b/*": 20 } }],
    overprovisioningPercent: 140,
  };

  test("shares are as they are written, whatever the number of endpoints; what is not named gets none", () => {
    const shares = sharesOf(pickerOf(policy), [...zone("eu/a", 2), ...zone("eu/b", 8), ...zone("us/a", 5)]);
    expect(Math.abs((shares["eu/a"] ?? 0) - 80)).toBeLessThanOrEqual(2);
    expect(shares["us/a"]).toBeUndefined();
  });

  test("a locality that is lost gives its share to the others", () => {
    const near = zone("eu/a", 2);
    lose(near);
    expect(sharesOf(pickerOf(policy), [...near, ...zone("eu/b", 8)])).toEqual({ "eu/b": 100 });
  });

  test("callers that no rule names are not bound", () => {
    const picker = pickerOf(policy, { place: { locality: { region: "us" }, labels: {} } });
    expect(sharesOf(picker, [...zone("eu/a", 1), ...zone("us/a", 1)])).toEqual({ "eu/a": 50, "us/a": 50 });
  });

  test("a call that was tried where it was drawn goes on to what is named, before what is not", () => {
    const one: EffectiveLocality = { ...policy, distribute: [{ from: "*", to: { "eu/b": 99, "us/a": 1 } }] };
    const candidates = [...zone("eu/a", 3), ...zone("eu/b", 1), ...zone("us/a", 1)];
    const tried = new Set(["eu/b-0"]);
    const picker = pickerOf(one);
    const picks = Array.from(
      { length: 20 },
      () => pickUsable(picker, candidates, tried, 0, 50, seededRandom(2))?.endpoint.id,
    );
    expect(new Set(picks)).toEqual(new Set(["us/a-0"]));
  });

  test("what no rule names is called where nobody else is left", () => {
    const [near, far] = [zone("eu/a", 1), zone("us/a", 4)];
    lose(near);
    expect(sharesOf(pickerOf(policy), [...near, ...far])).toEqual({ "us/a": 100 });
  });
});

test("weighted localities get shares by weight, wherever the caller is", () => {
  const policy: EffectiveLocality = { mode: "weighted", weights: { "eu/a": 3 }, overprovisioningPercent: 140 };
  const picker = pickerOf(policy, { place: { locality: undefined, labels: {} } });
  const { "eu/a": shares = 0 } = sharesOf(picker, [...zone("eu/a", 5), ...zone("eu/b", 1)]);
  expect(Math.abs(shares - 75)).toBeLessThanOrEqual(2);
});

describe("zone-aware", () => {
  const policy: EffectiveLocality = {
    mode: "zone-aware",
    minimumClusterSize: 6,
    routingEnabledPercent: 100,
    forceLocalZoneMinimum: undefined,
  };

  test("the zone takes its callers' calls where it has its share of the endpoints", () => {
    expect(sharesOf(pickerOf(policy), [...zone("eu/a", 2), ...zone("eu/b", 2), ...zone("eu/c", 2)])).toEqual({
      "eu/a": 100,
    });
  });

  test("the instances of the caller's own service tell how its calls are spread", () => {
    const own = [...zone("eu/a", 9), ...zone("eu/b", 1)];
    const shares = sharesOf(pickerOf(policy, { callers: () => own }), [...zone("eu/a", 3), ...zone("eu/b", 3)]);
    expect(Math.abs((shares["eu/a"] ?? 0) - 56)).toBeLessThanOrEqual(2);
  });

  test("for services of fewer than six zones do not matter", () => {
    const picker = pickerOf(policy);
    const candidates = [...zone("eu/a", 1), ...zone("eu/b", 4)];
    expect(sharesOf(picker, candidates)).toEqual({ "eu/a": 20, "eu/b": 80 });
    expect(picker.describe(candidates, 500, 50).why).toBe("5 endpoints are fewer than 6");
  });

  test("for the share of the calls that the policy leaves out zones do not matter", () => {
    const half = pickerOf({ ...policy, routingEnabledPercent: 50 });
    const { "eu/a": stays = 0 } = sharesOf(half, [...zone("eu/a", 4), ...zone("eu/b", 4)]);
    expect(Math.abs(stays - 75)).toBeLessThanOrEqual(2);
  });

  test("in panic zones do not matter, and ejections neither", () => {
    const [near, far] = [zone("eu/a", 5), zone("eu/b", 5)];
    eject(near, 3);
    eject(far, 4);
    expect(sharesOf(pickerOf(policy), [...near, ...far])).toEqual({ "eu/a": 50, "eu/b": 50 });
  });
});

test("what an endpoint reports counts within its group, and where localities do not matter", () => {
  const told: string[] = [];
  let made = 0;
  const makePicker = (): Picker => {
    const name = made++ === 0 ? "whole" : `group ${made - 1}`;
    return Object.assign(createPicker({ algorithm: "prequal", inFlightQuantile: 0.84 }, { random: seededRandom(1) }), {
      report: ({ endpoint }: Balanced) => void told.push(`${endpoint.id} to ${name}`),
    });
  };
  const picker = pickerOf(FAILOVER, { makePicker });
  const candidates = [...zone("eu/a", 1), ...zone("eu/b", 1)];
  expect(picker.readsReports).toBe(true);
  picker.pick(candidates, undefined, 0);
  picker.report(candidates[0]!, 0, {});
  expect(told).toEqual(["eu/a-0 to group 1", "eu/a-0 to whole"]);
});
