import { createNoopMeter, type MeterProvider, metrics } from "@opentelemetry/api";
import { afterEach, expect, test } from "vitest";
import { followMeter } from "./follow-meter.ts";

afterEach(() => metrics.disable());

test("instruments are made once, and anew when an SDK has started", () => {
  let made = 0;
  const instruments = followMeter(() => ++made);
  expect([instruments(), instruments()]).toEqual([1, 1]);
  const provider: MeterProvider = { getMeter: createNoopMeter };
  metrics.setGlobalMeterProvider(provider);
  expect([instruments(), instruments()]).toEqual([2, 2]);
});
