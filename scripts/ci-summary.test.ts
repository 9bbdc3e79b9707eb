import { expect, test } from "vitest";
import { summarize } from "./ci-summary.mjs";

const report = (over: object = {}): string =>
  JSON.stringify({
    numPassedTests: 5,
    numFailedTests: 0,
    numPendingTests: 1,
    numTodoTests: 0,
    testResults: [],
    ...over,
  });
const from =
  (files: Record<string, string>) =>
  (path: string): string => {
    const text = files[path];
    if (text === undefined) throw new Error("ENOENT");
    return text;
  };

test("the reports of all runs are added up", () => {
  const files = from({ a: report(), b: report({ numPassedTests: 2, numTodoTests: 1 }) });
  expect(summarize("unit\t0\ta\nslow\t0\tb\n", files)).toEqual({ passed: 7, failed: 0, skipped: 3, failedSteps: [] });
});

test("failed tests are not counted once more for their step", () => {
  const files = from({ a: report({ numFailedTests: 2 }) });
  expect(summarize("unit\t1\ta\n", files)).toEqual({ passed: 5, failed: 2, skipped: 1, failedSteps: ["unit"] });
});

test("a step without tests that fails counts as one failure", () => {
  expect(summarize("lint\t1\t\npackages\t0\t\n", from({}))).toMatchObject({ failed: 1, failedSteps: ["lint"] });
});

test("a run that left no report failed, even if it says that all is well", () => {
  expect(summarize("slow\t0\tgone\n", from({}))).toMatchObject({ failed: 1, failedSteps: ["slow"] });
});

test("a test file that cannot be loaded is a failure", () => {
  const files = from({ a: report({ testResults: [{ status: "failed", assertionResults: [] }] }) });
  expect(summarize("unit\t1\ta\n", files)).toMatchObject({ passed: 5, failed: 1 });
});

test("a run whose tests pass but which exits with an error failed", () => {
  expect(summarize("unit\t1\ta\n", from({ a: report() }))).toMatchObject({ passed: 5, failed: 1 });
});
