import { expect, test } from "vitest";
import { parseLoadReport } from "./load-report.ts";

test("reads what a member reports", () => {
  const text =
    "TEXT named_metrics.rif=4,named_metrics.latency_ms=12.5, application_utilization=0.31,rps_fractional=120.5,eps=0";
  expect(parseLoadReport(text)).toEqual({ inFlight: 4, latencyMs: 12.5, utilization: 0.31, qps: 120.5, eps: 0 });
});

test("passes over names that it does not know and figures that are none", () => {
  const text =
    "TEXT cpu_utilization=1,eps=,rps_fractional=-1,named_metrics.rif=x,toString=1,application_utilization=0.5";
  expect(parseLoadReport(text)).toEqual({ utilization: 0.5 });
});

test.each(["", "JSON {}", "eps=1", `TEXT eps=1${",a=1".repeat(1_000)}`])("%.12s is no report", (text) => {
  expect(parseLoadReport(text)).toBeUndefined();
});
