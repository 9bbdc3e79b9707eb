import type { EffectiveBalancer } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { NEAREST_FIRST, scenarios } from "./scenarios.ts";
import { type Result, type Scenario, simulate } from "./simulate.ts";

const peakEwma: EffectiveBalancer = { algorithm: "peak-ewma", decayMs: 10_000, defaultRttMs: 30 };
const prequal: EffectiveBalancer = { algorithm: "prequal", inFlightQuantile: 0.84 };
const roundRobin: EffectiveBalancer = { algorithm: "round-robin" };
const run = (name: string, balancer: EffectiveBalancer, changes: object = {}): Result => {
  const scenario = scenarios.find((each) => each.name === name);
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  return simulate({ ...scenario, seconds: 10, ...changes }, balancer);
};

test("equal seeds give equal results", () => {
  expect(run("antagonist-5", peakEwma)).toEqual(run("antagonist-5", peakEwma));
});

test.each([
  [5, peakEwma],
  [5, prequal],
  [100, peakEwma],
  [100, prequal],
] as const)(
  "beside a slow fifth of %i servers, $algorithm has at most a third of round robin's p99",
  (size, balancer) => {
    const fast = run(`slow-minority-${size}`, balancer);
    const naive = run(`slow-minority-${size}`, roundRobin);
    expect(fast.p99Ms).toBeLessThanOrEqual(naive.p99Ms / 3);
  },
);

test.each([
  [5, peakEwma],
  [5, prequal],
  [100, peakEwma],
  [100, prequal],
] as const)(
  "of %i servers the one that fails at once attracts no more than its share, by $algorithm",
  (size, balancer) => {
    for (const outlierDetection of [true, false]) {
      const { shares } = run(`one-failing-${size}`, balancer, { outlierDetection });
      expect(shares[0]).toBeLessThanOrEqual(1 / size);
    }
  },
);

describe("zone loss moves load by the priority table", () => {
  /** Three zones of ten servers and ten clients each. */
  const fleet: Scenario = {
    name: "zone-loss",
    clients: 30,
    servers: 30,
    utilization: 0.4,
    seconds: 30,
    outlierDetection: true,
    zones: 3,
    locality: NEAREST_FIRST,
  };

  test.each([
    [2, 100],
    [5, 70],
    [8, 28],
    [10, 0],
  ])("of ten servers in the zone %i cannot be reached: %i percent of its clients' calls stay", (lost, stay) => {
    const arrange: NonNullable<Scenario["arrange"]> = ({ servers, zoneOf }) => {
      const own = servers.filter((_, place) => zoneOf(place) === 1);
      for (const server of own.slice(0, lost)) server.behaviour = { slowness: 1, fails: false, unreachable: true };
    };
    const { flows } = simulate({ ...fleet, arrange }, peakEwma);
    // A server whose probation is over counts as healthy until it is probed.
    expect(Math.abs((flows[1]?.[1] ?? 0) * 100 - stay)).toBeLessThanOrEqual(4);
    // The clients of the other zones stay where they are.
    expect([flows[0]?.[0], flows[2]?.[2]]).toEqual([1, 1]);
  });

  test("a zone that leaves the registry hands all calls to the others, and gets them back with its return", () => {
    const gone = (untilMs: number): Scenario => ({
      ...fleet,
      arrange: ({ events, servers, zoneOf, announce }) => {
        const all = servers.map((_, place) => place);
        events.at(1, () => announce(all.filter((place) => zoneOf(place) !== 1)));
        events.at(untilMs, () => announce(all));
      },
    });
    const lost = simulate(gone(60_000), peakEwma);
    expect(lost.flows[1]?.[1]).toBe(0);
    expect(lost.errors).toBe(0);
    expect(simulate(gone(1_000), peakEwma).flows[1]?.[1]).toBe(1);
  });
});
