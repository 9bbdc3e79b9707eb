import { seededRandom } from "@tulle/testing";
import { balanced, balancedSet } from "@tulle/testing/balancing";
import { expect, test } from "vitest";
import type { LoadReport } from "../load-reports/load-report.ts";
import { weightOfReport } from "../load-reports/reported-weight.ts";
import { pickerContract } from "./picker.contract.ts";
import { type Balanced, createPicker, type Picker } from "./picker.ts";

const policy = {
  algorithm: "weighted-round-robin",
  blackoutMs: 10_000,
  expirationMs: 180_000,
  updateMs: 1_000,
  errorPenalty: 1,
} as const;
const picker = (changes: object = {}): Picker => createPicker({ ...policy, ...changes }, { random: seededRandom(1) });

pickerContract("weighted-round-robin", (random) => createPicker(policy, { random }));

/** Shares of 1,000 picks at a moment, by id. */
const sharesOf = (of: Picker, candidates: readonly Balanced[], nowMs: number): Record<string, number> => {
  const shares: Record<string, number> = {};
  for (let call = 0; call < 1_000; call++) {
    const id = of.pick(candidates, undefined, nowMs)?.endpoint.id ?? "";
    shares[id] = (shares[id] ?? 0) + 0.001;
  }
  return Object.fromEntries(Object.entries(shares).map(([id, share]) => [id, Math.round(share * 100) / 100]));
};

const half: LoadReport = { utilization: 0.5, qps: 100, eps: 0 };
const quarter: LoadReport = { utilization: 0.25, qps: 100, eps: 0 };

/** Reports at each second from `fromMs` up to `toMs`. */
const reportFor = (of: Picker, fromMs: number, toMs: number, ...reports: readonly [Balanced, LoadReport][]): void => {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 1_000) {
    for (const [candidate, report] of reports) of.report?.(candidate, nowMs, report);
  }
};

test("the weight is what is answered per utilization, and errors count as utilization", () => {
  expect(weightOfReport({ utilization: 0.5, qps: 100, eps: 0 }, 1)).toBe(200);
  expect(weightOfReport({ utilization: 0.5, qps: 100, eps: 50 }, 1)).toBe(100);
  expect(weightOfReport({ utilization: 0.5, qps: 100, eps: 50 }, 0)).toBe(200);
  expect(weightOfReport({ utilization: 0, qps: 100 }, 1)).toBeUndefined();
  expect(weightOfReport({ utilization: 0.5 }, 1)).toBeUndefined();
});

test("an endpoint that does twice as much per utilization gets twice as many calls", () => {
  const [a, b] = balancedSet(2) as [Balanced, Balanced];
  const one = picker();
  reportFor(one, 0, 10_000, [a, half], [b, quarter]);
  expect(sharesOf(one, [a, b], 10_000)).toEqual({ a: 0.33, b: 0.67 });
});

test("reports do not count before the blackout is over", () => {
  const candidates = balancedSet(2) as [Balanced, Balanced];
  const one = picker();
  reportFor(one, 0, 9_000, [candidates[0], half], [candidates[1], quarter]);
  expect(sharesOf(one, candidates, 9_999)).toEqual({ a: 0.5, b: 0.5 });
  expect(sharesOf(one, candidates, 11_000)).toEqual({ a: 0.33, b: 0.67 });
});

test("an endpoint that reports nothing counts as the mean of the others", () => {
  const candidates = balancedSet(3) as [Balanced, Balanced, Balanced];
  const one = picker({ blackoutMs: 0 });
  reportFor(one, 0, 0, [candidates[0], half], [candidates[1], quarter]);
  // 200 and 400, and their mean.
  expect(sharesOf(one, candidates, 0)).toEqual({ a: 0.22, b: 0.44, c: 0.33 });
});

test("with fewer than two known weights it is plain round robin by registered weights", () => {
  const candidates = [balanced("a"), balanced("b", { weight: 3 })] as const;
  const one = picker({ blackoutMs: 0 });
  reportFor(one, 0, 0, [candidates[0], half]);
  expect(sharesOf(one, candidates, 0)).toEqual({ a: 0.25, b: 0.75 });
});

test("reports expire, and whoever reports again waits out the blackout", () => {
  const candidates = balancedSet(2) as [Balanced, Balanced];
  const one = picker();
  reportFor(one, 0, 10_000, [candidates[0], half], [candidates[1], quarter]);
  expect(sharesOf(one, candidates, 189_999)).toEqual({ a: 0.33, b: 0.67 });
  expect(sharesOf(one, candidates, 191_000)).toEqual({ a: 0.5, b: 0.5 });
  reportFor(one, 192_000, 192_000, [candidates[0], half], [candidates[1], quarter]);
  expect(sharesOf(one, candidates, 193_000)).toEqual({ a: 0.5, b: 0.5 });
});

test("weights are worked out anew once per update period, not per report", () => {
  const candidates = balancedSet(2) as [Balanced, Balanced];
  const one = picker({ blackoutMs: 0 });
  expect(sharesOf(one, candidates, 0)).toEqual({ a: 0.5, b: 0.5 });
  reportFor(one, 0, 0, [candidates[0], half], [candidates[1], quarter]);
  expect(sharesOf(one, candidates, 999)).toEqual({ a: 0.5, b: 0.5 });
  expect(sharesOf(one, candidates, 1_000)).toEqual({ a: 0.33, b: 0.67 });
});

test("a newcomer gets its share little by little where the policy asks for a slow start", () => {
  const [a] = balancedSet(1) as [Balanced];
  const b: Balanced = { ...balanced("b"), figures: { ...balanced("b").figures, joinedAtMs: 5_000 } };
  const one = picker({ blackoutMs: 0, slowStart: { windowMs: 20_000, aggression: 1, minimumShare: 0.1 } });
  reportFor(one, 0, 0, [a, half], [b, half]);
  // At 15 s: a has 15 of 20 s behind it, b 10 of 20.
  expect(sharesOf(one, [a, b], 15_000)).toEqual({ a: 0.6, b: 0.4 });
});
