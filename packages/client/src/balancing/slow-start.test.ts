import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { shareAtAge } from "./slow-start.ts";

const even = { windowMs: 60_000, aggression: 1, minimumShare: 0.1 };

describe("slow start", () => {
  test.each([
    [0, 0.1],
    [3_000, 0.1],
    [30_000, 0.5],
    [59_999, 59_999 / 60_000],
    [60_000, 1],
    [600_000, 1],
  ])("after %i ms of a minute the share is %d", (ageMs, share) => {
    expect(shareAtAge(ageMs, even)).toBeCloseTo(share, 9);
  });

  test("with more aggression a newcomer gets more at first", () => {
    expect(shareAtAge(15_000, { ...even, aggression: 2 })).toBeCloseTo(0.5, 9);
    expect(shareAtAge(15_000, { ...even, aggression: 0.5 })).toBeCloseTo(0.1, 9);
  });

  test("never shrinks with age, and stays between its minimum and 1", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 120_000 }),
        fc.integer({ min: 0, max: 120_000 }),
        fc.double({ min: 0.1, max: 5, noNaN: true }),
        (one, other, aggression) => {
          const policy = { ...even, aggression };
          const [younger, older] = [Math.min(one, other), Math.max(one, other)];
          expect(shareAtAge(older, policy)).toBeGreaterThanOrEqual(shareAtAge(younger, policy));
          expect(shareAtAge(younger, policy)).toBeGreaterThanOrEqual(0.1);
          expect(shareAtAge(older, policy)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });
});
