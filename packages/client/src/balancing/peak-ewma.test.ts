import { describe, expect, test } from "vitest";
import { FAILURE_PENALTY_MS, MAX_RETRY_AFTER_MS, PeakEwmaLoad } from "./peak-ewma.ts";
import { balanced } from "./picker.contract.ts";

const measure = new PeakEwmaLoad({ decayMs: 10_000, defaultRttMs: 30 });

describe("the load of an endpoint", () => {
  test("is its latency times the calls it would then have", () => {
    const one = balanced("a");
    measure.observe(one.figures, 0, { rttMs: 20, failed: false });
    one.figures.inFlight = 3;
    expect(measure.loadOf(one, 0)).toBe(80);
  });

  test("is divided by its weight", () => {
    const heavy = balanced("a", { weight: 4 });
    measure.observe(heavy.figures, 0, { rttMs: 20, failed: false });
    expect(measure.loadOf(heavy, 0)).toBe(5);
  });

  test("lets a newcomer have one call at once, and no second before it answered", () => {
    const newcomer = balanced("a");
    expect(measure.loadOf(newcomer, 0)).toBe(0);
    newcomer.figures.inFlight = 1;
    expect(measure.loadOf(newcomer, 0)).toBe(60);
  });

  test("fades while nobody calls", () => {
    const one = balanced("a");
    measure.observe(one.figures, 0, { rttMs: 100, failed: false });
    expect(measure.loadOf(one, 20_000)).toBeLessThan(14);
  });
});

describe("a failure", () => {
  test("weighs five seconds, however fast it came", () => {
    const one = balanced("a");
    measure.observe(one.figures, 0, { rttMs: 1, failed: true });
    expect(measure.rttOf(one.figures, 0)).toBe(FAILURE_PENALTY_MS);
  });

  test("weighs its own latency when that is longer", () => {
    const one = balanced("a");
    measure.observe(one.figures, 0, { rttMs: 8_000, failed: true });
    expect(measure.rttOf(one.figures, 0)).toBe(8_000);
  });

  test("weighs what its Retry-After asks for, up to 300 s", () => {
    const one = balanced("a");
    measure.observe(one.figures, 0, { rttMs: 1, failed: true, retryAfterMs: 20_000 });
    expect(measure.rttOf(one.figures, 0)).toBe(20_000);
    measure.observe(one.figures, 0, { rttMs: 1, failed: true, retryAfterMs: 9_000_000 });
    expect(measure.rttOf(one.figures, 0)).toBe(MAX_RETRY_AFTER_MS);
  });
});
