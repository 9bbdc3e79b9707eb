import { fc, test as propertyTest } from "@fast-check/vitest";
import { expect, test } from "vitest";
import { SlidingSum } from "./sliding-sum.ts";

test("forgets what was added, a bucket at a time, once the stretch has passed", () => {
  const sum = new SlidingSum(10, 0);
  sum.add(3, 0, 1_000);
  sum.add(4, 150, 1_000);
  sum.forget(999, 1_000);
  expect(sum.total).toBe(7);
  sum.forget(1_000, 1_000);
  expect(sum.total).toBe(4);
  sum.forget(1_100, 1_000);
  expect(sum.total).toBe(0);
});

test("is empty after a long silence, and goes on", () => {
  const sum = new SlidingSum(4, 0);
  sum.add(9, 0, 100);
  sum.add(2, 1_000_000, 100);
  expect(sum.total).toBe(2);
});

test("a clock that goes back changes nothing", () => {
  const sum = new SlidingSum(4, 500);
  sum.add(1, 500, 100);
  sum.add(1, 100, 100);
  expect(sum.total).toBe(2);
});

propertyTest.prop([fc.array(fc.tuple(fc.nat(100), fc.nat(400)), { minLength: 1 })])(
  "holds all of the stretch less one bucket, and nothing that is older than the stretch",
  (additions) => {
    const sum = new SlidingSum(10, 0);
    const added: { readonly amount: number; readonly atMs: number }[] = [];
    let nowMs = 0;
    for (const [amount, passedMs] of additions) {
      nowMs += passedMs;
      sum.add(amount, nowMs, 1_000);
      added.push({ amount, atMs: nowMs });
      const since = (ageMs: number): number =>
        added.reduce((total, each) => total + (nowMs - each.atMs < ageMs ? each.amount : 0), 0);
      expect(sum.total).toBeGreaterThanOrEqual(since(900));
      expect(sum.total).toBeLessThanOrEqual(since(1_000));
    }
  },
);
