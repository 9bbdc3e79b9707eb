// The closing line of .ci/run. Reads its table of steps, one per line: name, exit code and, where the step ran tests, the
// path of vitest's JSON report, separated by tabs. Prints the steps that failed, and then the sum over all reports.
import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/**
 * A failed step in which no test failed (a lint error, a crash before the report) counts as one failure.
 * @param {string} table
 * @param {(path: string) => string} read
 * @returns {{ passed: number, failed: number, skipped: number, failedSteps: string[] }}
 */
export function summarize(table, read) {
  /** @type {string[]} */
  const failedSteps = [];
  const sum = { passed: 0, failed: 0, skipped: 0, failedSteps };
  for (const line of table.split("\n").filter((text) => text !== "")) {
    const [name = "", exitCode = "", report = ""] = line.split("\t");
    const counts = report === "" ? { passed: 0, failed: 0, skipped: 0 } : countTests(report, read);
    const failed = counts.failed > 0 || exitCode === "0" ? counts.failed : 1;
    sum.passed += counts.passed;
    sum.failed += failed;
    sum.skipped += counts.skipped;
    if (failed > 0) failedSteps.push(name);
  }
  return sum;
}

function countTests(path, read) {
  let report;
  try {
    report = JSON.parse(read(path));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }; // a run without a report proves nothing
  }
  // A file that cannot be loaded fails without a single failed test in it.
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((result) => result.status === "failed"),
  ).length;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed, skipped, failedSteps } = summarize(readFileSync(process.argv[2] ?? "", "utf8"), (path) =>
    readFileSync(path, "utf8"),
  );
  if (skipped > 0) process.stdout.write("skipped tests fail this run: what they need is missing on this machine\n");
  if (failedSteps.length > 0) process.stdout.write(`failed steps: ${failedSteps.join(", ")}\n`);
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  // What a machine lacks is installed by .ci/run, so a test that is skipped here is one that nobody runs.
  if (failed > 0 || skipped > 0) process.exitCode = 1;
}
