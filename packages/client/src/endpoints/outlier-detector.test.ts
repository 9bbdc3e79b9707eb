import { effectiveOutlierDetection } from "@tulle/policy";
import { seededRandom } from "@tulle/testing";
import { expect, test } from "vitest";
import { OutlierDetector } from "./outlier-detector.ts";
import { type EjectionDecision, type Judged, newOutlierRecord } from "./outlier-ejection.ts";

const fiveEndpoints = () => {
  const all: Judged[] = Array.from({ length: 5 }, (_, place) => ({
    endpoint: { id: `e${place}` },
    figures: { outlier: newOutlierRecord() },
  }));
  const decisions: EjectionDecision[] = [];
  const detector = new OutlierDetector({
    policy: effectiveOutlierDetection({ kind: "Service", name: "reviews" })!,
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
