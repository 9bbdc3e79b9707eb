import { seededRandom } from "@tulle/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compileSplit, WHOLE_SERVICE } from "./traffic-split.ts";

test("no split is the whole service", () => {
  expect(compileSplit(undefined)(() => 0.5)).toBe(WHOLE_SERVICE);
  expect(compileSplit([])(() => 0.5)).toBe(WHOLE_SERVICE);
});

test("each destination has its stretch of the range, a weight of 1 where none is given", () => {
  const draw = compileSplit([{ subset: "v1", weight: 3 }, { subset: "off", weight: 0 }, { subset: "v2" }]);
  expect([0, 0.74, 0.75, 0.999_999].map((drawn) => draw(() => drawn).subset)).toEqual(["v1", "v1", "v2", "v2"]);
});

test("a single destination needs no chance", () => {
  const draw = compileSplit([
    { subset: "v1", weight: 5 },
    { subset: "v2", weight: 0 },
  ]);
  expect(
    draw(() => {
      throw new Error("not asked");
    }).subset,
  ).toBe("v1");
});

test("only weights of 0 are refused", () => {
  expect(() => compileSplit([{ weight: 0 }])).toThrow("all weights of the split are 0");
});

test("shares follow the weights within binomial bounds, and 0 is never drawn", () => {
  const weights = fc
    .array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 5 })
    .filter((all) => all.some((weight) => weight > 0));
  const draws = 4_000;
  fc.assert(
    fc.property(weights, fc.integer(), (all, seed) => {
      const draw = compileSplit(all.map((weight, at) => ({ subset: `${at}`, weight })));
      const random = seededRandom(seed);
      const counts = all.map(() => 0);
      for (let n = 0; n < draws; n++) counts[Number(draw(random).subset)]! += 1;
      const total = all.reduce((sum, weight) => sum + weight, 0);
      for (const [at, weight] of all.entries()) {
        const share = weight / total;
        if (weight === 0) expect(counts[at]).toBe(0);
        // Six standard deviations and one: chance alone crosses that once in a thousand million draws.
        const bound = 6 * Math.sqrt(draws * share * (1 - share)) + 1;
        expect(Math.abs(counts[at]! - draws * share)).toBeLessThanOrEqual(bound);
      }
    }),
    { numRuns: 40 },
  );
});

/** Where each of many places in the range goes. */
const placesUnder = (weights: readonly number[], places: readonly number[]): readonly (string | undefined)[] => {
  const draw = compileSplit(weights.map((weight, at) => ({ subset: `${at}`, weight })));
  return places.map((place) => draw(() => place).subset);
};

test.each([
  ["80/20 becomes 70/30", [80, 20], [70, 30], 0.1],
  ["the sum changes with the shares", [4, 1], [7, 3], 0.1],
  ["the same shares are written otherwise", [80, 20], [4, 1], 0],
  ["a canary ends", [90, 10], [100, 0], 0.1],
])("of equal draws only those move whose share does: %s", (_, before, after, share) => {
  const random = seededRandom(11);
  const places = Array.from({ length: 10_000 }, random);
  const [were, are] = [placesUnder(before, places), placesUnder(after, places)];
  const moved = were.filter((subset, at) => subset !== are[at]).length;
  const bound = 6 * Math.sqrt(places.length * share * (1 - share));
  expect(Math.abs(moved - places.length * share)).toBeLessThanOrEqual(bound);
});
