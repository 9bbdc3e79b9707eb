import { describe, expect, test } from "vitest";
import { CallLedger } from "./call-ledger.ts";
import { allMutualTls, CALL_DURATION, edgesOf } from "./edges.ts";
import type { HistogramSeries } from "./otlp-metrics.ts";
import { runReport } from "./run-report.ts";

const calls = (
  count: number,
  attributes: HistogramSeries["attributes"] = {},
  more: Partial<HistogramSeries> = {},
): HistogramSeries => ({
  metric: CALL_DURATION,
  attributes: {
    "tulle.source": "productpage",
    "tulle.destination": "reviews",
    "tulle.version": "v1",
    "tulle.mtls": true,
    "http.response.status_code": 200,
    ...attributes,
  },
  // Bucket -1000 at scale 7 ends at 2^(-999/128) = 4.5 ms.
  histogram: { scale: 7, zeroCount: 0, offset: -1_000, counts: [count] },
  atMs: 1_000,
  ...more,
});
const unanswered: HistogramSeries["attributes"] = { "error.type": "NO_HEALTHY_ENDPOINT" };
const withoutStatus = (series: HistogramSeries): HistogramSeries => {
  const { "http.response.status_code": _, "tulle.version": __, ...attributes } = series.attributes;
  return { ...series, attributes };
};

describe("edges", () => {
  test("add up all members and attributes of one source and destination", () => {
    const edges = edgesOf([
      calls(80),
      calls(20, { "tulle.version": "v2" }),
      calls(5, { "tulle.destination": "details" }),
    ]);
    expect(
      edges.map(({ source, destination, requests, failures }) => [source, destination, requests, failures]),
    ).toEqual([
      ["productpage", "details", 5, 0],
      ["productpage", "reviews", 100, 0],
    ]);
    expect(edges[1]?.versions).toEqual({ v1: 80, v2: 20 });
  });

  test("count as failed what was answered with 400 or above, and what was not answered", () => {
    const failed = [calls(3, { "http.response.status_code": 503 }), withoutStatus(calls(2, unanswered))];
    const [edge] = edgesOf([calls(10), ...failed]);
    expect(edge).toMatchObject({ requests: 15, failures: 5, unencrypted: 0, versions: { v1: 13 } });
  });

  test("know other metrics, and calls that left the mesh, from calls between members", () => {
    expect(edgesOf([calls(1, {}, { metric: "http.server.request.duration" })])).toEqual([]);
    expect(edgesOf([{ ...calls(1), attributes: { "server.address": "example.com" } }])).toEqual([]);
  });
});

describe("mTLS", () => {
  test("holds when every answered call had it", () => {
    expect(allMutualTls(edgesOf([calls(10), withoutStatus(calls(1, unanswered))]))).toBe(true);
  });

  test("does not hold when one answered call had not, or nobody knows", () => {
    expect(allMutualTls(edgesOf([calls(10), calls(1, { "tulle.mtls": false })]))).toBe(false);
    expect(allMutualTls([])).toBe(false);
  });
});

describe("the ledger", () => {
  test("takes the latest export of a process, and adds a restarted process to its former life", () => {
    const ledger = new CallLedger();
    ledger.enter({ instance: "productpage.1", series: [calls(10)] });
    ledger.enter({ instance: "productpage.1", series: [calls(30, {}, { atMs: 2_000 })] });
    ledger.enter({ instance: "productpage.2", series: [calls(7)] });
    expect(ledger.total()[0]?.requests).toBe(37);
    expect(ledger.collectedAtMs("productpage.1")).toBe(2_000);
    expect(ledger.collectedAtMs("productpage.3")).toBe(0);
  });

  test("tells what is new within the window", () => {
    const ledger = new CallLedger();
    ledger.beginWindow(0);
    const at = (nowMs: number, requests: number) => {
      ledger.enter({ instance: "productpage.1", series: [calls(requests)] });
      const { edges, windowMs } = ledger.recent(nowMs, 2_000);
      return [edges[0]?.requests, windowMs];
    };
    expect(at(500, 10)).toEqual([10, 500]);
    expect(at(1_000, 30)).toEqual([30, 1_000]);
    expect(at(2_000, 60)).toEqual([60, 2_000]);
    expect(at(3_000, 100)).toEqual([70, 2_000]);
  });

  test("is bounded, and counts what it leaves out", () => {
    const ledger = new CallLedger();
    for (let index = 0; index < 300; index += 1) ledger.enter({ instance: `p${index}`, series: [calls(1)] });
    expect(ledger.total()[0]?.requests).toBe(256);
    expect(ledger.dropped).toBe(44);
  });
});

test("the report counts failures of pages and of calls between members", () => {
  const edges = edgesOf([calls(99), calls(1, { "http.response.status_code": 503 })]);
  expect(runReport({ requests: 100, failures: 2 }, edges, "k3.7")).toEqual({
    requests: 100,
    failures: 3,
    mtls: true,
    revision: "k3.7",
    edges: [
      {
        source: "productpage",
        destination: "reviews",
        requests: 100,
        failures: 1,
        p50Ms: expect.closeTo(4.45, 1),
        p99Ms: expect.closeTo(4.47, 1),
        versions: { v1: 100 },
      },
    ],
  });
});
