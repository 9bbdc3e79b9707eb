import { expect, test } from "vitest";
import { LoadAtFlight } from "./load-at-flight.ts";

test("the latency at a load is the median of requests that found as many in flight", () => {
  const load = new LoadAtFlight();
  for (const tookMs of [10, 50, 20]) load.note(3, tookMs, 0);
  load.note(20, 900, 0);
  expect(load.medianMs(3, 1)).toBe(20);
  expect(load.medianMs(20, 1)).toBe(900);
});

test("where nothing is known of a number in flight, the nearest ones tell", () => {
  const load = new LoadAtFlight();
  load.note(10, 100, 0);
  load.note(14, 300, 0);
  expect(load.medianMs(11, 0)).toBe(100);
  expect(load.medianMs(12, 0)).toBe(200);
  expect(load.medianMs(100, 0)).toBeUndefined();
});

test("what is older than ten seconds says nothing", () => {
  const load = new LoadAtFlight();
  load.note(1, 5, 0);
  expect(load.medianMs(1, 10_000)).toBe(5);
  expect(load.medianMs(1, 10_001)).toBeUndefined();
});

test("only the last sixteen of a number in flight are remembered, and all numbers above 256 are one", () => {
  const load = new LoadAtFlight();
  for (let answer = 0; answer < 100; answer++) load.note(1, 1_000, 0);
  for (let answer = 0; answer < 16; answer++) load.note(1, 7, 0);
  expect(load.medianMs(1, 0)).toBe(7);
  load.note(100_000, 70, 0);
  expect(load.medianMs(5_000, 0)).toBe(70);
});
