import fc from "fast-check";
import { expect, test } from "vitest";
import { beginChecks, type CheckResult, endChecks, newHealthRecord, noteCheck } from "./health-record.ts";

const thresholds = { unhealthyThreshold: 3, healthyThreshold: 2 };

/** The states after each of these checks. */
const statesAfter = (...results: readonly CheckResult[]) => {
  const record = newHealthRecord();
  beginChecks(record);
  return results.map((result) => {
    noteCheck(record, thresholds, result);
    return record.state;
  });
};

test("is pending until the first check, which decides alone", () => {
  const record = newHealthRecord();
  beginChecks(record);
  expect(record.state).toBe("pending");
  expect(statesAfter("passed")).toEqual(["healthy"]);
  expect(statesAfter("failed")).toEqual(["unhealthy"]);
});

test("becomes unhealthy by enough failures in a row, and healthy by enough passes in a row", () => {
  expect(statesAfter("passed", "failed", "failed", "passed", "failed", "failed", "failed")).toEqual([
    ...Array.from({ length: 6 }, () => "healthy"),
    "unhealthy",
  ]);
  expect(statesAfter("failed", "passed", "failed", "passed", "passed")).toEqual([
    ...Array.from({ length: 4 }, () => "unhealthy"),
    "healthy",
  ]);
});

test("becomes unhealthy at once by an answer that says so", () => {
  expect(statesAfter("passed", "unhealthy")).toEqual(["healthy", "unhealthy"]);
});

test("is degraded by what the last passed check said", () => {
  const record = newHealthRecord();
  beginChecks(record);
  const degradedAfter = (result: CheckResult) => {
    const changed = noteCheck(record, thresholds, result);
    return [record.state, record.degraded, changed];
  };
  expect(degradedAfter("degraded")).toEqual(["healthy", true, true]);
  expect(degradedAfter("degraded")).toEqual(["healthy", true, false]);
  expect(degradedAfter("failed")).toEqual(["healthy", true, false]);
  expect(degradedAfter("passed")).toEqual(["healthy", false, true]);
});

test("says nothing any more once the checks end", () => {
  const record = newHealthRecord();
  beginChecks(record);
  noteCheck(record, thresholds, "unhealthy");
  endChecks(record);
  expect(record).toEqual(newHealthRecord());
});

test("as many checks of one kind in a row as the threshold says always decide", () => {
  const results = fc.array(fc.constantFrom<CheckResult>("passed", "degraded", "failed", "unhealthy"));
  fc.assert(
    fc.property(results, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), (before, up, down) => {
      const record = newHealthRecord();
      beginChecks(record);
      const bounds = { healthyThreshold: up, unhealthyThreshold: down };
      for (const result of before) noteCheck(record, bounds, result);
      for (let check = 0; check < up; check++) noteCheck(record, bounds, "passed");
      expect(record).toMatchObject({ state: "healthy", degraded: false });
      for (let check = 0; check < down - 1; check++) noteCheck(record, bounds, "failed");
      expect(record.state).toBe("healthy");
      noteCheck(record, bounds, "failed");
      expect(record.state).toBe("unhealthy");
    }),
  );
});
