import { type Balanced, createPicker, newFigures, type Picker, xxh64 } from "@tulle/client/balancing";
import { type Balancer, effectiveBalancer, type ServicePolicy } from "@tulle/policy";
import { seededRandom } from "@tulle/testing";
import { describe, expect, test } from "vitest";

/** A simulation as anybody could write it: each server takes its own time for a call, whatever else it does. */
const simulate = (policy: Partial<ServicePolicy>, seed: number, rttOf: (place: number) => number) => {
  const random = seededRandom(seed);
  const picker: Picker = createPicker(effectiveBalancer({ kind: "Service", name: "fleet", ...policy }), { random });
  const servers = Array.from(
    { length: 5 },
    (_, place): Balanced => ({
      endpoint: {
        id: `s${place}`,
        address: `10.0.0.${place}`,
        port: 80,
        transport: "mtls",
        labels: {},
        health: "healthy",
        serviceAccount: "fleet",
      },
      figures: newFigures(0),
    }),
  );
  const picks: number[] = [];
  const ends: { readonly atMs: number; readonly startMs: number; readonly place: number }[] = [];
  for (let nowMs = 0; nowMs < 3_000; nowMs++) {
    while (ends[0] !== undefined && ends[0].atMs <= nowMs) {
      const { atMs, startMs, place } = ends.shift()!;
      const server = servers[place]!;
      const inFlight = server.figures.inFlight - 1;
      const rttMs = atMs - startMs;
      picker.report?.(server, atMs, { utilization: rttMs / 200, qps: 100, eps: 0, inFlight, latencyMs: rttMs });
      picker.end(server, atMs, { rttMs, failed: false });
    }
    const server = picker.pick(servers, undefined, nowMs, xxh64(`user-${nowMs % 97}`))!;
    const place = servers.indexOf(server);
    picker.start(server, nowMs);
    picks.push(place);
    ends.push({ atMs: nowMs + rttOf(place), startMs: nowMs, place });
    ends.sort((one, other) => one.atMs - other.atMs);
  }
  const shares = servers.map((_, place) => picks.filter((each) => each === place).length / picks.length);
  return { picks, shares, inFlight: servers.map(({ figures }) => figures.inFlight), pending: ends };
};

const balancers: Record<string, Balancer> = {
  "round-robin": { algorithm: "round-robin" },
  random: { algorithm: "random" },
  "least-request": { algorithm: "least-request" },
  "least-request, full scan": { algorithm: "least-request", selection: "full-scan" },
  "peak-ewma": { algorithm: "peak-ewma" },
  "ring-hash": { algorithm: "ring-hash" },
  "ring-hash, bounded load": { algorithm: "ring-hash", balanceFactor: 125 },
  maglev: { algorithm: "maglev" },
  "weighted-round-robin": { algorithm: "weighted-round-robin", blackoutPeriod: "0s", weightUpdatePeriod: "100ms" },
  prequal: { algorithm: "prequal" },
};

const equal = (): number => 20;
const lastIsSlow = (place: number): number => (place === 4 ? 200 : 20);

describe.each(Object.entries(balancers))("%s driven from outside", (_name, balancer) => {
  test("picks alike with equal chance and an equal clock, with slow start and a subset too", () => {
    const subset =
      balancer.algorithm === "ring-hash" || balancer.algorithm === "maglev" ? {} : { subsetting: { size: 3 } };
    for (const policy of [{ balancer }, { balancer, slowStart: { window: "2s" } as const, ...subset }]) {
      expect(simulate(policy, 7, lastIsSlow).picks).toEqual(simulate(policy, 7, lastIsSlow).picks);
    }
  });

  test("calls every server, and counts what is in flight by start and end alone", () => {
    const { shares, inFlight, pending } = simulate({ balancer }, 3, equal);
    expect(Math.min(...shares)).toBeGreaterThan(0);
    expect(inFlight).toEqual(shares.map((_, place) => pending.filter((each) => each.place === place).length));
  });
});

test.each(["least-request", "least-request, full scan", "peak-ewma", "weighted-round-robin", "prequal"])(
  "%s sends a server that is ten times slower less than half of its share, round robin does not",
  (name) => {
    const share = (balancer: Balancer | undefined): number =>
      simulate(balancer === undefined ? {} : { balancer }, 11, lastIsSlow).shares[4]!;
    expect(share(balancers[name])).toBeLessThan(0.1);
    expect(share(balancers["round-robin"])).toBeCloseTo(0.2, 2);
  },
);
