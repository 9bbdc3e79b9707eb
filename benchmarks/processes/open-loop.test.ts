import { seededRandom } from "@tulle/testing";
import { expect, test } from "vitest";
import { openLoop, quantile } from "./open-loop.ts";

test.each([
  [[7], 0.99, 7],
  [[1, 2, 3, 4], 0.5, 2],
  [[1, 2, 3, 4], 0.51, 3],
  [Array.from({ length: 100 }, (_, at) => at + 1), 0.99, 99],
])("of %j the nearest rank of %d is %d", (sorted, share, expected) => {
  expect(quantile(sorted, share)).toBe(expected);
});

test("makes calls without waiting for answers, and tells by what they failed", async () => {
  const endings = [
    () => Promise.resolve(200),
    () => Promise.resolve(503),
    () => Promise.reject(new TypeError("no such thing")),
    () => Promise.reject(Object.assign(new Error("reset"), { code: "ECONNRESET" })),
  ];
  const waiting: (() => void)[] = [];
  const measured = await openLoop(
    async (number) => {
      // Nobody is answered before ten calls are under way.
      if (number < 9) await new Promise<void>((resolve) => waiting.push(resolve));
      else for (const answer of waiting.splice(0)) answer();
      return endings[number % endings.length]!();
    },
    { rate: 1_000, seconds: 0.1, limitMs: 60_000, random: seededRandom(1) },
  );
  const { calls, errors, failures } = measured;
  expect(calls).toBeGreaterThan(9);
  const each = (kind: number) => Math.floor((calls + endings.length - 1 - kind) / endings.length);
  expect(failures).toEqual({ 503: each(1), TypeError: each(2), ECONNRESET: each(3) });
  expect(errors).toBe(each(1) + each(2) + each(3));
});
