import { balanced } from "@tulle/testing/balancing";
import { describe, expect, test } from "vitest";
import { FiguresKeeper } from "./figures-keeper.ts";
import { inFlightLoad, peakEwmaLoad } from "./load-measure.ts";
import { Weights } from "./weights.ts";

const weights = new Weights(undefined);
const loadOf = peakEwmaLoad({ decayMs: 10_000, defaultRttMs: 30 }, weights);
const keeper = new FiguresKeeper(10_000);

describe("the peak EWMA load of an endpoint", () => {
  test("is its latency times the calls it would then have", () => {
    const one = balanced("a");
    keeper.start(one);
    keeper.end(one, 0, { rttMs: 20, failed: false });
    one.figures.inFlight = 3;
    expect(loadOf(one, 0)).toBe(80);
  });

  test("is divided by its weight", () => {
    const heavy = balanced("a", { weight: 4 });
    keeper.start(heavy);
    keeper.end(heavy, 0, { rttMs: 20, failed: false });
    expect(loadOf(heavy, 0)).toBe(5);
  });

  test("lets a newcomer have one call at once, and no second before it answered", () => {
    const newcomer = balanced("a");
    expect(loadOf(newcomer, 0)).toBe(0);
    newcomer.figures.inFlight = 1;
    expect(loadOf(newcomer, 0)).toBe(60);
  });

  test("fades while nobody calls", () => {
    const one = balanced("a");
    keeper.start(one);
    keeper.end(one, 0, { rttMs: 100, failed: false });
    expect(loadOf(one, 20_000)).toBeLessThan(14);
  });
});

describe("the load by calls in flight", () => {
  test("counts the call that would come, so that weights matter between idle endpoints", () => {
    const light = balanced("a");
    const heavy = balanced("b", { weight: 2 });
    const measure = inFlightLoad(weights);
    expect(measure(light, 0)).toBe(1);
    expect(measure(heavy, 0)).toBe(0.5);
    heavy.figures.inFlight = 3;
    expect(measure(heavy, 0)).toBe(2);
  });
});
