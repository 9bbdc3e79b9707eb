import { FakeClock } from "@tulle/testing";
import { expect, test } from "vitest";
import { LoadReports, SAMPLE_MS } from "./load-report.ts";

const reporting = (utilization = 0.25) => {
  const clock = new FakeClock(0);
  let samples = 0;
  const reports = new LoadReports(clock, () => () => {
    samples++;
    return utilization;
  });
  return { clock, reports, samples: () => samples };
};

test("a report tells what is in flight from the first question on", () => {
  const { reports } = reporting();
  reports.enter();
  reports.enter();
  expect(reports.report()).toBe("TEXT named_metrics.rif=2");
  reports.leave();
  expect(reports.report()).toBe("TEXT named_metrics.rif=1");
});

test("after a sample it tells how busy the event loop was, and the rates of answers and errors", () => {
  const { clock, reports } = reporting(0.4);
  reports.report();
  for (let answer = 0; answer < 10; answer++) reports.answered(0, 5, answer < 2 ? 503 : 200);
  clock.advance(SAMPLE_MS);
  expect(reports.report()).toBe(
    "TEXT named_metrics.rif=0,named_metrics.latency_ms=5,application_utilization=0.4,rps_fractional=10,eps=2",
  );
  clock.advance(SAMPLE_MS);
  expect(reports.report()).toContain("rps_fractional=5,eps=1");
});

test("nothing but the number in flight is measured before somebody asks", () => {
  const { clock, reports, samples } = reporting();
  reports.answered(reports.enter(), 5, 200);
  clock.advance(10 * SAMPLE_MS);
  expect(samples()).toBe(0);
  expect(reports.report()).toBe("TEXT named_metrics.rif=1");
});

test("a minute after the last question nothing is measured any more, and a new question begins anew", () => {
  const { clock, reports, samples } = reporting();
  reports.report();
  for (let second = 0; second < 120; second++) clock.advance(SAMPLE_MS);
  const then = samples();
  expect(then).toBe(60);
  clock.advance(10 * SAMPLE_MS);
  expect(samples()).toBe(then);
  expect(reports.report()).toBe("TEXT named_metrics.rif=0");
  clock.advance(SAMPLE_MS);
  expect(samples()).toBe(then + 1);
});

test("closing ends the timer", () => {
  const { clock, reports, samples } = reporting();
  reports.report();
  reports.close();
  clock.advance(10 * SAMPLE_MS);
  expect(samples()).toBe(0);
});
