import { seededRandom } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { LatencyEstimate } from "./latency-estimate.ts";

const estimateOf = (latencies: readonly number[], nowMs = 0): LatencyEstimate => {
  const estimate = new LatencyEstimate(nowMs);
  for (const ms of latencies) estimate.record(ms, nowMs);
  return estimate;
};

describe("LatencyEstimate", () => {
  test("says nothing before it knows enough", () => {
    expect(estimateOf([]).quantile(0.5, 0)).toBeUndefined();
    expect(estimateOf(Array.from({ length: 19 }, () => 5)).quantile(0.5, 0)).toBeUndefined();
    expect(estimateOf(Array.from({ length: 20 }, () => 5)).quantile(0.5, 0)).toBeDefined();
  });

  test.each([0.5, 0.9, 0.95, 0.99])("finds quantile %d, at most 15 %% too high and never too low", (share) => {
    const random = seededRandom(3);
    const latencies = Array.from({ length: 5_000 }, () => 0.2 + 200 * random() ** 4);
    const exact = latencies.toSorted((one, other) => one - other)[Math.ceil(share * latencies.length) - 1]!;
    const found = estimateOf(latencies).quantile(share, 0)!;
    expect(found).toBeGreaterThanOrEqual(exact * 0.999);
    expect(found).toBeLessThanOrEqual(exact * 1.16);
  });

  test("follows what changes, and forgets what is long past", () => {
    const estimate = estimateOf(Array.from({ length: 1_000 }, () => 10));
    for (let second = 1; second <= 60; second++) {
      for (let answer = 0; answer < 100; answer++) estimate.record(100, second * 1_000);
    }
    expect(estimate.quantile(0.5, 60_000)).toBeGreaterThan(90);
    expect(estimate.quantile(0.5, 600_000)).toBeUndefined();
  });

  test("holds what takes longer than it can tell apart in its last bucket", () => {
    expect(estimateOf(Array.from({ length: 20 }, () => Number.MAX_SAFE_INTEGER)).quantile(1, 0)).toBeGreaterThan(
      400_000,
    );
  });
});
