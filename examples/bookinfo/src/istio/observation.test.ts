import { expect, test } from "vitest";
import { countEach, followWeights, sharesText } from "./observation.ts";

test("equal things are counted", () => {
  expect(countEach(["v2", "v1", "v2"])).toEqual({ v1: 1, v2: 2 });
});

test("counts are told with their shares", () => {
  expect(sharesText({ v1: 3, v2: 1 })).toBe("v1 75.0 % (3)  v2 25.0 % (1)");
});

test.each([
  [{ v1: 80, v2: 20 }, { v1: 80, v2: 20 }, true],
  [{ v1: 320, v2: 80 }, { v1: 80, v2: 20 }, true],
  [{ v1: 200, v2: 200 }, { v1: 80, v2: 20 }, false],
  [{ v1: 50 }, { v1: 1 }, true],
  [{ v1: 49, v2: 1 }, { v1: 1 }, false],
  [{ v1: 49, 503: 1 }, { v1: 80, v2: 20 }, false],
  [{}, { v1: 1 }, false],
])("%j follow %j: %s", (counts, weights, follow) => {
  expect(followWeights(counts, weights)).toBe(follow);
});
