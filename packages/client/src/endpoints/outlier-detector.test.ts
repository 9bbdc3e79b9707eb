import { effectiveOutlierDetection, type OutlierDetection } from "@tulle/policy";
import { seededRandom } from "@tulle/testing";
import { expect, test } from "vitest";
import { OutlierDetector } from "./outlier-detector.ts";
import { beginCall, type EjectionDecision, type Judged, newOutlierRecord } from "./outlier-ejection.ts";

const fiveEndpoints = (outlierDetection: OutlierDetection = {}) => {
  const all: Judged[] = Array.from({ length: 5 }, (_, place) => ({
    endpoint: { id: `e${place}` },
    figures: { outlier: newOutlierRecord() },
  }));
  const decisions: EjectionDecision[] = [];
  const detector = new OutlierDetector({
    policy: effectiveOutlierDetection({ kind: "Service", name: "reviews", outlierDetection })!,
    all: () => all,
    random: seededRandom(1),
    nowMs: 0,
    onDecision: (decision) => decisions.push(decision),
  });
  return { all, decisions, detector };
};

test("ejects at once whoever fails five times in a row, and tells of it", () => {
  const { all, decisions, detector } = fiveEndpoints();
  for (let call = 0; call < 5; call++) detector.observe(all[2]!, "server-error", false, call);
  expect(decisions).toEqual([{ endpoint: "e2", cause: "consecutive-5xx", ejected: true, forMs: 30_000 }]);
});

test("tells why it did not eject", () => {
  const { all, decisions, detector } = fiveEndpoints();
  for (const bad of [all[0]!, all[1]!]) {
    for (let call = 0; call < 5; call++) detector.observe(bad, "server-error", false, call);
  }
  expect(decisions.at(-1)).toEqual({
    endpoint: "e1",
    cause: "consecutive-5xx",
    ejected: false,
    because: "max-ejection-percent",
  });
});

test("compares success rates with the first call after an interval", () => {
  const { all, decisions, detector } = fiveEndpoints();
  for (const [place, judged] of all.entries()) {
    for (let call = 0; call < 100; call++) {
      detector.observe(judged, place === 3 && call % 2 === 0 ? "server-error" : "success", false, 9_999);
    }
  }
  expect(decisions).toEqual([]);
  detector.observe(all[0]!, "success", false, 10_000);
  expect(decisions).toMatchObject([{ endpoint: "e3", cause: "success-rate", ejected: true }]);
});

/** Linkerd's unified circuit breaker. */
const unified: OutlierDetection = {
  consecutive5xx: 0,
  consecutiveGatewayErrors: 0,
  successRate: false,
  failurePercentage: { threshold: 20, window: "10s", minimumHosts: 1, requestVolume: 5 },
  baseEjectionTime: "1s",
  maxEjectionTime: "1m",
  maxEjectionPercent: 100,
};

test("with a window an endpoint of four answers in five is ejected at its failure, without waiting for an interval", () => {
  const { all, decisions, detector } = fiveEndpoints(unified);
  for (let call = 0; call < 4; call++) detector.observe(all[0]!, "success", false, call);
  expect(decisions).toEqual([]);
  detector.observe(all[0]!, "server-error", false, 4);
  expect(decisions).toEqual([{ endpoint: "e0", cause: "failure-percentage", ejected: true, forMs: 1_000 }]);
});

test("with a window the end of an interval ejects nobody for the share of its failures", () => {
  const { all, decisions, detector } = fiveEndpoints({
    ...unified,
    failurePercentage: { threshold: 20, window: "1s", minimumHosts: 1, requestVolume: 5 },
  });
  // Half of them fail, but no five are within a second.
  for (let call = 0; call < 20; call++)
    detector.observe(all[0]!, call % 2 === 0 ? "server-error" : "success", false, call * 500);
  detector.observe(all[1]!, "success", false, 10_001);
  expect(decisions).toEqual([]);
});

test("with a window an endpoint that may not be ejected is not judged at each of its failures", () => {
  const { all, decisions, detector } = fiveEndpoints({ ...unified, maxEjectionPercent: 0 });
  for (const bad of [all[0]!, all[1]!]) {
    for (let call = 0; call < 9; call++) detector.observe(bad, "server-error", false, call);
  }
  expect(decisions).toMatchObject([
    { endpoint: "e0", ejected: true },
    { endpoint: "e1", ejected: false, because: "max-ejection-percent" },
  ]);
});

test("with a window an endpoint whose probe failed begins it anew when it is back", () => {
  const { all, decisions, detector } = fiveEndpoints(unified);
  const [bad] = all;
  for (let call = 0; call < 5; call++) detector.observe(bad!, "server-error", false, call);
  expect(beginCall(bad!.figures.outlier, 2_000)).toBe(true);
  detector.observe(bad!, "server-error", true, 2_000);
  expect(decisions.map(({ cause }) => cause)).toEqual(["failure-percentage", "failed-probe"]);
  expect(beginCall(bad!.figures.outlier, 9_000)).toBe(true);
  detector.observe(bad!, "success", true, 9_000);
  for (let call = 0; call < 3; call++) detector.observe(bad!, "server-error", false, 9_001 + call);
  expect(decisions).toHaveLength(2);
  detector.observe(bad!, "server-error", false, 9_005);
  expect(decisions).toHaveLength(3);
});
