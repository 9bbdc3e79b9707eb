import { type EffectiveHealthCheck, effectiveHealthCheck, type HealthCheck } from "@tulle/policy";
import { FakeClock, seededRandom } from "@tulle/testing";
import { beforeEach, describe, expect, test } from "vitest";
import { newFigures } from "../endpoints/endpoint-figures.ts";
import { CheckSlots } from "./check-slots.ts";
import {
  type CheckTarget,
  type HealthChange,
  type HealthCheckCounters,
  HealthChecker,
  nextCheckMs,
} from "./health-checker.ts";
import type { CheckResult } from "./health-record.ts";

interface Place {
  readonly name: string;
  result: CheckResult | "silent";
  checks: number;
  aborted: number;
}

let clock: FakeClock;
let counters: HealthCheckCounters;
let changes: HealthChange[];

beforeEach(() => {
  clock = new FakeClock();
  counters = { healthChecks: 0, healthChecksEnded: 0, healthCheckFailures: 0, healthCheckWaits: 0, healthChanges: 0 };
  changes = [];
});

const target = (name: string, result: Place["result"] = "passed"): CheckTarget<Place> => ({
  endpoint: { id: name },
  figures: newFigures(0),
  pool: { name, result, checks: 0, aborted: 0 },
});

const order = (healthCheck: HealthCheck = {}, unejects = true) => ({
  // An interval that chance does not change, so that its end is known.
  policy: effectiveHealthCheck({
    kind: "Service",
    name: "reviews",
    healthCheck: { tcp: {}, intervalJitterPercent: 0, ...healthCheck },
  }) as EffectiveHealthCheck,
  unejects,
});

const checker = (slots = new CheckSlots()) =>
  new HealthChecker<Place>({
    clock,
    random: seededRandom(1),
    counters,
    slots,
    probe: (place, _policy, signal) => {
      place.checks++;
      if (place.result !== "silent") return Promise.resolve(place.result);
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          place.aborted++;
          resolve("failed");
        });
      });
    },
    detached: (work) => work(),
    onChange: (change) => changes.push(change),
  });

const settled = () => clock.advanceAsync(0);

describe("an endpoint", () => {
  test("is checked at once, and again after each interval while the service is called", async () => {
    const health = checker();
    const a = target("a");
    health.update(order(), [a]);
    expect(a.figures.health.state).toBe("pending");
    await settled();
    expect(a.figures.health.state).toBe("healthy");
    for (let call = 0; call < 4; call++) {
      health.noteCall();
      await clock.advanceAsync(3_000);
    }
    expect(a.pool.checks).toBe(5);
  });

  test("is checked rarely while nobody calls, and soon after the first call", async () => {
    const health = checker();
    const a = target("a");
    health.update(order(), [a]);
    await clock.advanceAsync(59_999);
    expect(a.pool.checks).toBe(1);
    await clock.advanceAsync(1);
    expect(a.pool.checks).toBe(2);
    health.noteCall();
    await clock.advanceAsync(3_000);
    expect(a.pool.checks).toBe(3);
  });

  test("that says nothing has failed after the timeout, and is left alone then", async () => {
    const health = checker();
    const a = target("a", "silent");
    health.update(order({ timeout: "2s" }), [a]);
    await clock.advanceAsync(1_999);
    expect(a.figures.health.state).toBe("pending");
    await clock.advanceAsync(1);
    expect(a.figures.health.state).toBe("unhealthy");
    expect(a.pool.aborted).toBe(1);
  });

  test("that departs is not checked any more, nor one that arrives checked late", async () => {
    const health = checker();
    const [a, b] = [target("a", "silent"), target("b")];
    health.update(order(), [a]);
    health.update(order(), [b]);
    await settled();
    expect([a.pool.aborted, b.figures.health.state]).toEqual([1, "healthy"]);
    expect(a.figures.health.state).toBe("unchecked");
    await clock.advanceAsync(300_000);
    expect(a.pool.checks).toBe(1);
  });

  test("stays as checks found it when another one arrives", async () => {
    const health = checker();
    const a = target("a", "failed");
    health.update(order(), [a]);
    await settled();
    health.update(order(), [a, target("b")]);
    await settled();
    expect([a.figures.health.state, a.pool.checks]).toEqual(["unhealthy", 1]);
  });

  test("is checked anew at once when the policy changes, and keeps its state until then", async () => {
    const health = checker();
    const a = target("a", "failed");
    health.update(order(), [a]);
    await settled();
    a.pool.result = "passed";
    health.update(order({ tcp: { send: { text: "x" } } }), [a]);
    expect(a.figures.health.state).toBe("unhealthy");
    await settled();
    expect(a.figures.health.state).toBe("healthy");
  });
});

describe("a passed check", () => {
  const ejected = async (unejects: boolean) => {
    const a = target("a");
    a.figures.outlier.ejectedUntilMs = 30_000;
    a.figures.outlier.ejections = 1;
    a.figures.reach.failures = 2;
    checker().update(order({}, unejects), [a]);
    await settled();
    return a.figures;
  };

  test("ends an ejection and a probation, but does not forget how often the endpoint was ejected", async () => {
    const { outlier, reach } = await ejected(true);
    expect([outlier.ejectedUntilMs, outlier.ejections, reach.failures]).toEqual([0, 1, 0]);
  });

  test("ends no ejection where the policy says so", async () => {
    const { outlier, reach } = await ejected(false);
    expect([outlier.ejectedUntilMs, reach.failures]).toEqual([30_000, 0]);
  });
});

describe("bounds", () => {
  test("no more checks than there are slots are under way, and each gets its turn", async () => {
    const health = checker(new CheckSlots(2));
    const all = ["a", "b", "c", "d", "e"].map((name) => target(name, "silent"));
    health.update(order(), all);
    const underWay = () => all.reduce((sum, { pool }) => sum + pool.checks - pool.aborted, 0);
    expect([underWay(), counters.healthCheckWaits]).toEqual([2, 3]);
    await clock.advanceAsync(1_000);
    expect(underWay()).toBe(2);
    await clock.advanceAsync(2_000);
    expect(all.map(({ pool }) => pool.checks)).toEqual([1, 1, 1, 1, 1]);
    expect(counters).toMatchObject({ healthChecks: 5, healthCheckFailures: 5 });
  });

  test("one that departs while it waits gives up its place", async () => {
    const health = checker(new CheckSlots(1));
    const [a, b, c] = ["a", "b", "c"].map((name) => target(name, "silent")) as [
      CheckTarget<Place>,
      CheckTarget<Place>,
      CheckTarget<Place>,
    ];
    health.update(order(), [a, b, c]);
    health.update(order(), [a, c]);
    await clock.advanceAsync(1_000);
    expect([b.pool.checks, c.pool.checks]).toEqual([0, 1]);
  });

  test("after a close nothing is under way and no timer is left", async () => {
    const health = checker();
    const [a, b] = [target("a", "silent"), target("b")];
    health.update(order(), [a, b]);
    await settled();
    health.close();
    await settled();
    expect([clock.pendingTimers, a.pool.aborted]).toEqual([0, 1]);
    expect([a, b].map(({ figures }) => figures.health.state)).toEqual(["unchecked", "unchecked"]);
  });
});

test.each<[string, boolean, boolean, boolean, number]>([
  ["passed", true, false, false, 3_000],
  ["passed, and it takes more to be healthy", true, true, false, 500],
  ["failed", false, false, false, 1_000],
  ["failed, and it takes more to be unhealthy", false, true, false, 200],
  ["passed, and nobody calls", true, false, true, 60_000],
  ["failed, and nobody calls", false, true, true, 60_000],
])("after a check that %s the next one comes after its own interval", (_, passed, pending, nobodyCalls, ms) => {
  const { policy } = order({ unhealthyInterval: "1s", unhealthyEdgeInterval: "200ms", healthyEdgeInterval: "500ms" });
  expect(nextCheckMs(policy, { passed, pending }, nobodyCalls, () => 0.5)).toBe(ms);
});

test("the edges' intervals are those of their sides where nothing is written", () => {
  const { policy } = order({ interval: "5s", unhealthyInterval: "1s" });
  const after = (passed: boolean) => nextCheckMs(policy, { passed, pending: true }, false, () => 0);
  expect([after(true), after(false)]).toEqual([5_000, 1_000]);
});

test.each<[string, HealthCheck, number]>([
  ["a percentage", { intervalJitterPercent: 20 }, 3_300],
  ["a time", { intervalJitter: "1s" }, 3_500],
  ["both", { intervalJitterPercent: 20, intervalJitter: "1s" }, 3_800],
])("chance adds %s to an interval", (_, jitter, ms) => {
  const { policy } = order(jitter);
  expect(nextCheckMs(policy, { passed: true, pending: false }, false, () => 0.5)).toBeCloseTo(ms);
});

test("first checks are spread over the initial jitter, those by a changed policy as well", async () => {
  const health = checker();
  const all = Array.from({ length: 40 }, (_, place) => target(`e-${place}`));
  const checked = () => all.filter(({ pool }) => pool.checks > 0).length;
  health.update(order({ initialJitter: "10s", noTrafficInterval: "1h" }), all);
  await settled();
  expect(checked()).toBe(0);
  await clock.advanceAsync(5_000);
  // Half of 40 within five standard deviations.
  expect(Math.abs(checked() - 20)).toBeLessThan(16);
  await clock.advanceAsync(5_000);
  expect(checked()).toBe(40);
  health.update(order({ initialJitter: "10s", noTrafficInterval: "1h", timeout: "2s" }), all);
  await settled();
  expect(all.every(({ pool }) => pool.checks === 1)).toBe(true);
  await clock.advanceAsync(10_000);
  expect(all.every(({ pool }) => pool.checks === 2)).toBe(true);
});

test("tells each change once: its first check, and what later ones found", async () => {
  const health = checker();
  const a = target("a");
  health.update(order({ unhealthyThreshold: 2, noTrafficInterval: "3s" }), [a]);
  await settled();
  for (const result of ["passed", "degraded", "failed", "failed", "failed", "passed"] as const) {
    a.pool.result = result;
    await clock.advanceAsync(3_000);
  }
  expect(changes).toEqual([
    { endpoint: "a", from: "pending", to: "healthy" },
    { endpoint: "a", from: "healthy", to: "degraded" },
    { endpoint: "a", from: "degraded", to: "unhealthy" },
    { endpoint: "a", from: "unhealthy", to: "healthy" },
  ]);
  expect(counters.healthChanges).toBe(4);
});
