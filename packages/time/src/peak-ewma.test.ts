import { fc, test as propertyTest } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { decayedPeak, observePeak } from "./peak-ewma.ts";

const DECAY_MS = 10_000;

describe("peak EWMA", () => {
  test("takes a peak at once", () => {
    const average = { costMs: 5, stampMs: 0 };
    observePeak(average, 400, 1, DECAY_MS);
    expect(average).toEqual({ costMs: 400, stampMs: 1 });
  });

  test("forgets a peak by half in the decay time's half life", () => {
    const average = { costMs: 400, stampMs: 0 };
    expect(decayedPeak(average, DECAY_MS * Math.LN2, DECAY_MS)).toBeCloseTo(200);
  });

  test("moves towards lower latencies by the time that has passed, not by the number of observations", () => {
    const often = { costMs: 100, stampMs: 0 };
    for (let nowMs = 1; nowMs <= 1_000; nowMs++) observePeak(often, 10, nowMs, DECAY_MS);
    const once = { costMs: 100, stampMs: 0 };
    observePeak(once, 10, 1_000, DECAY_MS);
    expect(often.costMs).toBeCloseTo(once.costMs, 6);
  });

  test("survives a clock that stands still or goes back", () => {
    const average = { costMs: 100, stampMs: 1_000 };
    observePeak(average, 10, 500, DECAY_MS);
    expect(average).toEqual({ costMs: 100, stampMs: 1_000 });
  });

  propertyTest.prop([fc.array(fc.tuple(fc.nat(10_000), fc.nat(60_000)), { minLength: 1 })])(
    "never leaves the range from 0 to the highest latency seen",
    (observations) => {
      const average = { costMs: 0, stampMs: 0 };
      let nowMs = 0;
      let highest = 0;
      for (const [latencyMs, passedMs] of observations) {
        nowMs += passedMs;
        highest = Math.max(highest, latencyMs);
        observePeak(average, latencyMs, nowMs, DECAY_MS);
        expect(average.costMs).toBeGreaterThanOrEqual(0);
        // An average of equal numbers may differ from them in its last bit.
        expect(average.costMs).toBeLessThanOrEqual(highest * (1 + 4 * Number.EPSILON));
      }
    },
  );
});
