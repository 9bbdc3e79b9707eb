import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { priorityLoad, type TierHealth } from "./priority-load.ts";

/** A tier of 100 endpoints. */
const tier = (healthy: number, total = 100): TierHealth => ({ healthy, total, callable: total });
const loads = (...healthy: readonly number[]): readonly number[] =>
  priorityLoad(
    healthy.map((each) => tier(each)),
    140,
    50,
  ).map(({ loadPercent }) => loadPercent);
const panics = (...healthy: readonly number[]): readonly boolean[] =>
  priorityLoad(
    healthy.map((each) => tier(each)),
    140,
    50,
  ).map((each) => each.panics);

describe("the table of Envoy's documentation", () => {
  test.each([
    [
      [100, 100],
      [100, 0],
    ],
    [
      [72, 72],
      [100, 0],
    ],
    [
      [71, 71],
      [99.4, 0.6],
    ],
    [
      [50, 100],
      [70, 30],
    ],
    [
      [25, 100],
      [35, 65],
    ],
    [
      [25, 25],
      [50, 50],
    ],
    [
      [0, 100],
      [0, 100],
    ],
    [
      [100, 0],
      [100, 0],
    ],
    [
      [25, 0, 100],
      [35, 0, 65],
    ],
    [
      [25, 25, 20],
      [33.33, 33.33, 33.33],
    ],
    [
      [5, 0, 65],
      [7.14, 0, 92.86],
    ],
  ] as const)("of tiers %j percent healthy: %j percent of the calls", (healthy, expected) => {
    for (const [place, load] of loads(...healthy).entries()) expect(load).toBeCloseTo(expected[place]!, 2);
  });

  test("both tiers panic when a quarter of each is left", () => {
    expect(panics(25, 25)).toEqual([true, true]);
  });

  test("a tier does not panic, however few are left of it, while all together can bear the calls", () => {
    expect(panics(5, 100)).toEqual([false, false]);
  });

  test("a tier above the threshold keeps looking at health when others panic", () => {
    expect(panics(10, 55)).toEqual([true, false]);
  });
});

test("when every tier panics the calls are spread over the endpoints, whatever their tier", () => {
  expect(priorityLoad([tier(10), tier(60, 300)], 140, 50).map(({ loadPercent }) => loadPercent)).toEqual([25, 75]);
});

test("a threshold of 0 never panics; where nobody is left the first tier gets all", () => {
  expect(priorityLoad([tier(0), tier(0)], 140, 0)).toEqual([
    { healthPercent: 0, loadPercent: 100, panics: false },
    { healthPercent: 0, loadPercent: 0, panics: false },
  ]);
});

test("a tier whose endpoints the registry took out gets no call, also in panic", () => {
  const gone: TierHealth = { healthy: 0, total: 3, callable: 0 };
  expect(priorityLoad([gone, tier(1, 3)], 140, 50).map(({ loadPercent }) => loadPercent)).toEqual([0, 100]);
});

const tiers = fc.array(
  fc
    .integer({ min: 1, max: 50 })
    .chain((total) => fc.integer({ min: 0, max: total }).map((healthy) => ({ healthy, total, callable: total }))),
  { minLength: 1, maxLength: 5 },
);

test("the shares are 100 percent together, none below 0, and the same for equal input", () => {
  fc.assert(
    fc.property(tiers, fc.integer({ min: 100, max: 1_000 }), fc.integer({ min: 0, max: 100 }), (found, over, panic) => {
      const shares = priorityLoad(found, over, panic).map(({ loadPercent }) => loadPercent);
      expect(shares.reduce((sum, each) => sum + each, 0)).toBeCloseTo(100, 6);
      for (const share of shares) expect(share).toBeGreaterThanOrEqual(0);
    }),
  );
});

test("a tier that gets healthier gets no smaller share, while panic is off", () => {
  fc.assert(
    fc.property(tiers, fc.nat(4), (found, at) => {
      const place = at % found.length;
      const one = found[place]!;
      if (one.healthy === one.total) return;
      const better = found.with(place, { ...one, healthy: one.healthy + 1 });
      const before = priorityLoad(found, 140, 0)[place]!.loadPercent;
      // Where nobody is left the first tier gets all, of which it gives to whoever comes back.
      if (found.every(({ healthy }) => healthy === 0)) return;
      expect(priorityLoad(better, 140, 0)[place]!.loadPercent).toBeGreaterThanOrEqual(before - 1e-9);
    }),
  );
});

test("what a tier can bear before the next one is asked falls with the overprovisioning", () => {
  const firstOf = (over: number): number => priorityLoad([tier(60), tier(100)], over, 50)[0]!.loadPercent;
  expect([100, 140, 170].map(firstOf)).toEqual([60, 84, 100]);
});
