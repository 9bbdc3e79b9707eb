import { context, metrics, propagation, TraceFlags, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { RoutePolicy, RouteRule } from "@tulle/policy";
import { afterEach, describe, expect, test, vi } from "vitest";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";

const routeOf = (rule: RouteRule): RoutePolicy => ({
  kind: "Route",
  name: "reviews",
  services: ["reviews"],
  rules: [rule],
});

const traceId = "0af7651916cd43dd8448eb211c80319c";
const remote = trace.setSpanContext(context.active(), {
  traceId,
  spanId: "b7ad6b7169203331",
  traceFlags: TraceFlags.SAMPLED,
  isRemote: true,
});

const echoTrace = (): Promise<RunningServer> =>
  serve(
    (request, response) => {
      if (request.url === "/flaky" && request.headers["x-envoy-attempt-count"] === "1") response.statusCode = 503;
      response.end(JSON.stringify(request.headersDistinct));
    },
    { version: "v1" },
  );

const headersSeen = async (client: ReturnType<typeof clientOf>, path = "/", headers: Record<string, string> = {}) =>
  (await (await client.fetch(`http://reviews${path}`, { headers })).json()) as Record<string, string[]>;

const startTracing = () => {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  return exporter;
};

afterEach(() => {
  trace.disable();
  context.disable();
  propagation.disable();
  metrics.disable();
});

describe("telemetry", () => {
  test("without an SDK a visit's trace goes on with a parent id of the attempt's own, and the caller's own headers stay", async () => {
    await using server = await echoTrace();
    const snapshot = snapshotOf({ reviews: { endpoints: [server.endpoint] } });
    const baggage = propagation.createBaggage({ user: { value: "jäson" } });
    const inherited = propagation.setBaggage(remote, baggage);
    await using client = clientOf(snapshot, { inherit: () => ({ deadlineMs: undefined, context: inherited }) });
    const seen = await headersSeen(client, "/", {
      traceparent: "00-11111111111111111111111111111111-2222222222222222-01",
    });
    expect(seen.traceparent).toEqual([expect.stringMatching(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))]);
    expect(seen.traceparent?.[0]).not.toContain("b7ad6b7169203331");
    expect(seen.baggage).toEqual(["user=j%C3%A4son"]);
    await using bare = clientOf(snapshot);
    expect((await headersSeen(bare)).traceparent).toBeUndefined();
    const own = "00-11111111111111111111111111111111-2222222222222222-01";
    expect((await headersSeen(bare, "/", { traceparent: own })).traceparent).toEqual([own]);
  });

  test("one span per call and one per attempt, whose id the endpoint sees", async () => {
    const exporter = startTracing();
    await using server = await echoTrace();
    const snapshot = snapshotOf({ reviews: { endpoints: [server.endpoint] } });
    await using client = clientOf(snapshot, { inherit: () => ({ deadlineMs: undefined, context: remote }) });
    const seen = await headersSeen(client, "/flaky");
    await vi.waitFor(() => expect(exporter.getFinishedSpans()).toHaveLength(3));
    const spans = exporter.getFinishedSpans();
    const call = spans.find(({ name }) => name === "GET reviews");
    const attempts = spans.filter(({ name }) => name === "GET");
    expect(call?.attributes).toMatchObject({
      "http.request.method": "GET",
      "server.address": "reviews",
      "server.port": 80,
      "http.response.status_code": 200,
      "http.request.resend_count": 1,
      "tulle.service": "reviews",
      "url.full": "http://reviews/flaky",
    });
    expect(call?.parentSpanContext?.spanId).toBe("b7ad6b7169203331");
    expect(
      attempts.map(({ attributes }) => [
        attributes["tulle.attempt"],
        attributes["http.response.status_code"],
        attributes["error.type"],
      ]),
    ).toEqual([
      [1, 503, "503"],
      [2, 200, undefined],
    ]);
    expect(new Set(attempts.map(({ parentSpanContext }) => parentSpanContext?.spanId))).toEqual(
      new Set([call?.spanContext().spanId]),
    );
    expect(seen.traceparent).toEqual([`00-${traceId}-${attempts[1]?.spanContext().spanId}-01`]);
  });

  test("a trace that a caller hands on by hand is gone on with", async () => {
    const exporter = startTracing();
    await using server = await echoTrace();
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const seen = await headersSeen(client, "/", { traceparent: `00-${traceId}-2222222222222222-01` });
    expect(seen.traceparent).toHaveLength(1);
    expect(seen.traceparent?.[0]).toContain(traceId);
    await vi.waitFor(() => expect(exporter.getFinishedSpans()).toHaveLength(2));
  });

  test("one duration per call, with enough to draw a table of edges", async () => {
    await using server = await echoTrace();
    await using client = clientOf(
      snapshotOf({ reviews: { endpoints: [server.endpoint] }, ratings: { endpoints: [] } }),
    );
    // Registered after the client was made and used: it must be noticed.
    await headersSeen(client);
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 });
    metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
    await headersSeen(client, "/flaky");
    await client.fetch("http://ratings/").catch(() => undefined);
    await reader.forceFlush();
    const [scope] = exporter.getMetrics()[0]?.scopeMetrics ?? [];
    const [metric] = scope?.metrics ?? [];
    expect(metric?.descriptor).toMatchObject({ name: "http.client.request.duration", unit: "s" });
    const points = metric?.dataPoints.map(({ attributes, value }) => [attributes, (value as { count: number }).count]);
    expect(points).toEqual([
      [
        expect.objectContaining({
          "http.request.method": "GET",
          "http.response.status_code": 200,
          "server.address": "reviews",
          "tulle.source": "productpage",
          "tulle.destination": "reviews",
          "tulle.version": "v1",
          "tulle.mtls": false,
        }),
        1,
      ],
      [
        expect.objectContaining({
          "tulle.destination": "ratings",
          "error.type": "NO_HEALTHY_ENDPOINT",
          "tulle.error.code": "NO_HEALTHY_ENDPOINT",
        }),
        1,
      ],
    ]);
    await reader.shutdown();
  });

  test("the copies of a mirror stand apart from the calls, in spans of the same trace and in durations", async () => {
    const spans = startTracing();
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 });
    metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
    await using server = await echoTrace();
    const endpoints = [server.endpoint];
    const routes = [routeOf({ mirror: [{ service: "ratings" }] })];
    await using client = clientOf(snapshotOf({ reviews: { endpoints, routes }, ratings: { endpoints } }));
    await headersSeen(client);
    await vi.waitFor(() => expect(spans.getFinishedSpans()).toHaveLength(4));
    const told = spans.getFinishedSpans().map(({ name, attributes }) => [name, attributes["tulle.mirror"]]);
    expect(told).toEqual(
      expect.arrayContaining([
        ["GET reviews", undefined],
        ["GET ratings", true],
        ["GET", undefined],
        ["GET", true],
      ]),
    );
    const spanOf = (name: string) => spans.getFinishedSpans().find((span) => span.name === name);
    expect(spanOf("GET ratings")?.parentSpanContext?.spanId).toBe(spanOf("GET reviews")?.spanContext().spanId);
    await reader.forceFlush();
    const points = exporter.getMetrics()[0]?.scopeMetrics[0]?.metrics[0]?.dataPoints ?? [];
    expect(points.map(({ attributes }) => [attributes["server.address"], attributes["tulle.mirror"]])).toEqual(
      expect.arrayContaining([
        ["reviews", undefined],
        ["reviews-shadow", true],
      ]),
    );
    await reader.shutdown();
  });

  test("what a fault did is told by Envoy's flags, on the span of the call", async () => {
    const spans = startTracing();
    const routes = [routeOf({ fault: { delay: { fixed: "1ms" }, abort: { status: 503 } } })];
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [], routes } }));
    expect((await client.fetch("http://reviews/")).status).toBe(503);
    const [span] = spans.getFinishedSpans();
    expect(span?.attributes).toMatchObject({
      "tulle.response_flags": "DI,FI",
      "http.response.status_code": 503,
      "error.type": "503",
    });
  });
});
