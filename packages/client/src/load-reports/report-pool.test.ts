import { expect, test } from "vitest";
import { MOST_REPORTS, REPORT_AGE_MS, ReportPool } from "./report-pool.ts";

const id = (name: string) => ({ name });

test("the freshest reports are kept, one of each endpoint, at most sixteen", () => {
  const pool = new ReportPool<{ name: string }>(0.84, 4);
  const all = Array.from({ length: MOST_REPORTS + 1 }, (_, place) => id(String(place)));
  for (const each of all) pool.note(each, 1, 1, 0);
  pool.note(all[5]!, 9, 9, 1);
  const kept = pool.fresh(1);
  expect(kept.length).toBe(MOST_REPORTS);
  expect(kept.some(({ of }) => of === all[0])).toBe(false);
  expect(kept.filter(({ of }) => of === all[5])).toEqual([expect.objectContaining({ inFlight: 9 })]);
});

test("a report is forgotten when it is a second old", () => {
  const pool = new ReportPool<object>(0.84, 4);
  pool.note(id("a"), 1, 1, 0);
  pool.note(id("b"), 1, 1, 500);
  expect(pool.fresh(REPORT_AGE_MS).length).toBe(2);
  expect(pool.fresh(REPORT_AGE_MS + 1).map(({ of }) => of)).toEqual([id("b")]);
});

test("each use counts as one more in flight, and the last one uses the report up", () => {
  const pool = new ReportPool<object>(0.84, 2);
  pool.note(id("a"), 3, 1, 0);
  const [report] = pool.fresh(0);
  pool.use(report!);
  expect(pool.fresh(0)).toEqual([expect.objectContaining({ inFlight: 4 })]);
  pool.use(report!);
  expect(pool.fresh(0)).toEqual([]);
});

test("hot begins above the quantile of the numbers in flight seen lately; with 1 nothing is hot, with 0 nearly all", () => {
  const thresholdOf = (quantile: number): number => {
    const pool = new ReportPool<object>(quantile, 4);
    for (let inFlight = 1; inFlight <= 121; inFlight++) pool.note(id(String(inFlight)), inFlight, 1, 0);
    return pool.threshold;
  };
  expect(thresholdOf(0.5)).toBe(61);
  expect(thresholdOf(0)).toBe(1);
  expect(thresholdOf(1)).toBe(Number.POSITIVE_INFINITY);
});
