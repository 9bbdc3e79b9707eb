import { metrics } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import type { Credentials } from "@tulle/policy";
import { createTestAuthority, FakeClock } from "@tulle/testing";
import { Watchable } from "@tulle/time";
import { expect, onTestFinished, test } from "vitest";
import { observeCertificate } from "./certificate-metrics.ts";

test("tells the seconds that are left of the present certificate, by the config-server's clock, to an SDK that starts later too", async () => {
  const clock = new FakeClock();
  const authority = await createTestAuthority();
  const issued = await authority.issue({ serviceAccount: "reviews" });
  const endsInSeconds = (seconds: number): Credentials => ({
    ...issued,
    notAfterMs: clock.wallNow() + seconds * 1_000,
  });
  const credentials = new Watchable<Credentials | undefined>(undefined);
  let skewMs = 0;
  const stop = observeCertificate(credentials, clock, () => skewMs);

  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const provider = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000_000 })],
  });
  metrics.setGlobalMeterProvider(provider);
  onTestFinished(async () => {
    metrics.disable();
    await provider.shutdown();
  });
  clock.advance(10_000);

  const read = async () => {
    exporter.reset();
    await provider.forceFlush();
    return exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
      .filter(({ descriptor }) => descriptor.name === "tulle.certificate.expires_in")
      .flatMap(({ dataPoints }) => dataPoints.map(({ value, attributes }) => [value, attributes["tulle.spiffe_id"]]));
  };
  expect(await read()).toEqual([]);
  credentials.set(endsInSeconds(600));
  expect(await read()).toEqual([[600, issued.spiffeId]]);
  clock.advance(60_000);
  skewMs = 30_000;
  expect(await read()).toEqual([[510, issued.spiffeId]]);
  clock.advance(600_000);
  expect(await read()).toEqual([[-90, issued.spiffeId]]);
  stop();
});
