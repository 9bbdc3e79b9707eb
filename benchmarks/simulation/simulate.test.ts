import type { EffectiveBalancer } from "@tulle/policy";
import { expect, test } from "vitest";
import { scenarios } from "./scenarios.ts";
import { type Result, simulate } from "./simulate.ts";

const peakEwma: EffectiveBalancer = { algorithm: "peak-ewma", decayMs: 10_000, defaultRttMs: 30 };
const roundRobin: EffectiveBalancer = { algorithm: "round-robin" };
const run = (name: string, balancer: EffectiveBalancer, changes: object = {}): Result => {
  const scenario = scenarios.find((each) => each.name === name);
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  return simulate({ ...scenario, seconds: 10, ...changes }, balancer);
};

test("equal seeds give equal results", () => {
  expect(run("antagonist-5", peakEwma)).toEqual(run("antagonist-5", peakEwma));
});

test.each([5, 100])("beside a slow fifth of %i servers, peak EWMA has at most a third of round robin's p99", (size) => {
  const fast = run(`slow-minority-${size}`, peakEwma);
  const naive = run(`slow-minority-${size}`, roundRobin);
  expect(fast.p99Ms).toBeLessThanOrEqual(naive.p99Ms / 3);
});

test.each([5, 100])("of %i servers the one that fails at once attracts no more than its share", (size) => {
  for (const outlierDetection of [true, false]) {
    const { shares } = run(`one-failing-${size}`, peakEwma, { outlierDetection });
    expect(shares[0]).toBeLessThanOrEqual(1 / size);
  }
});
