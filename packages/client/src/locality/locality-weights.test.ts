import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { distributionOf, shareByWeight, weightsByDistribution, weightsByPattern } from "./locality-weights.ts";

const count = (name: string, healthy: number, total: number) => {
  const [region = "", zone = "", subzone = ""] = name.split("/");
  return { locality: { region, zone, subzone }, healthy, total, weight: total };
};

describe("shares by weight", () => {
  // The example of Envoy's documentation: weights 1 and 2, X has all hosts, Y loses some.
  test.each([
    [100, 33.33, 66.67],
    [70, 33.8, 66.2],
    [69, 34.1, 65.9],
    [50, 41.67, 58.33],
    [25, 58.82, 41.18],
    [0, 100, 0],
  ])("beside a whole locality of weight 1, one of weight 2 that is %i percent healthy", (healthy, x, y) => {
    const shares = shareByWeight([count("eu/x", 100, 100), count("eu/y", healthy, 100)], [1, 2], 140);
    expect(shares?.[0]).toBeCloseTo(x, 1);
    expect(shares?.[1]).toBeCloseTo(y, 1);
  });

  test("nobody with a weight is left: no shares", () => {
    expect(shareByWeight([count("eu/x", 0, 3), count("eu/y", 3, 3)], [1, 0], 140)).toBeUndefined();
  });

  test("the shares are 100 percent together", () => {
    const localities = fc.array(fc.tuple(fc.nat(9), fc.nat(100)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(localities, (found) => {
        const counts = found.map(([healthy], place) => count(`r/${place}`, healthy, 9));
        const shares = shareByWeight(
          counts,
          found.map(([, weight]) => weight),
          140,
        );
        if (shares !== undefined) expect(shares.reduce((sum, each) => sum + each, 0)).toBeCloseTo(100, 6);
        else expect(found.every(([healthy, weight]) => healthy * weight === 0)).toBe(true);
      }),
    );
  });
});

test("the weight of a locality is that of the first pattern that fits, else that of its endpoints", () => {
  const counts = [count("eu/a", 3, 3), count("eu/b", 3, 3), count("us/a", 2, 2)];
  expect(weightsByPattern(counts, { "eu/a": 5, "eu/*": 1 })).toEqual([5, 1, 2]);
  expect(weightsByPattern(counts, {})).toEqual([3, 3, 2]);
});

describe("a distribution", () => {
  const counts = [count("eu/a/1", 2, 2), count("eu/a/2", 6, 6), count("eu/b/1", 4, 4), count("us/a/1", 1, 1)];

  test("localities that one entry means share its percent by their endpoints", () => {
    expect(weightsByDistribution(counts, { "eu/a/*": 80, "eu/b/*": 20 })).toEqual([20, 60, 20, 0]);
  });

  test("a locality belongs to the first entry that means it", () => {
    expect(weightsByDistribution(counts, { "eu/a/1": 10, "*": 90 })).toEqual([
      10,
      (90 * 6) / 11,
      (90 * 4) / 11,
      90 / 11,
    ]);
  });

  test("the first rule whose from fits the caller counts, and there may be none", () => {
    const rules = [
      { from: "eu/a/*", to: { "eu/a/*": 100 } },
      { from: "eu/*", to: { "eu/*": 100 } },
    ];
    expect(distributionOf(rules, { region: "eu", zone: "a", subzone: "1" })).toBe(rules[0]);
    expect(distributionOf(rules, { region: "eu", zone: "b" })).toBe(rules[1]);
    expect(distributionOf(rules, { region: "us" })).toBeUndefined();
    expect(distributionOf(rules, undefined)).toBeUndefined();
  });
});
