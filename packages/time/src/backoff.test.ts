import { fc, test as propertyTest } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { fullJitterMs } from "./backoff.ts";

const backoff = { baseMs: 25, maxMs: 250 };
const almostOne = () => 1 - Number.EPSILON;

describe("full jitter", () => {
  test("doubles its upper bound with each repetition up to the longest wait", () => {
    const bounds = [1, 2, 3, 4, 5, 60].map((repetition) => Math.round(fullJitterMs(backoff, repetition, almostOne)));
    expect(bounds).toEqual([25, 50, 100, 200, 250, 250]);
  });

  test("begins at no wait at all", () => {
    expect(fullJitterMs(backoff, 3, () => 0)).toBe(0);
  });

  propertyTest.prop([fc.integer({ min: 1, max: 5_000 }), fc.double({ min: 0, max: 0.999, noNaN: true })])(
    "stays within its bounds however often it is repeated",
    (repetition, drawn) => {
      const waitMs = fullJitterMs(backoff, repetition, () => drawn);
      expect(waitMs).toBeGreaterThanOrEqual(0);
      expect(waitMs).toBeLessThan(250);
    },
  );
});
