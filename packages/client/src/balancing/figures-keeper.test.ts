import { balanced } from "@tulle/testing/balancing";
import { describe, expect, test } from "vitest";
import { FAILURE_PENALTY_MS, FiguresKeeper, MAX_RETRY_AFTER_MS } from "./figures-keeper.ts";
import type { Balanced } from "./picker.ts";

const keeper = new FiguresKeeper(10_000);
const rttOf = (one: Balanced) => keeper.explain([one], 0, () => 0)[0]?.rttMs;

describe("a failure", () => {
  test("weighs five seconds, however fast it came", () => {
    const one = balanced("a");
    keeper.start(one);
    keeper.end(one, 0, { rttMs: 1, failed: true });
    expect(rttOf(one)).toBe(FAILURE_PENALTY_MS);
  });

  test("weighs its own latency when that is longer", () => {
    const one = balanced("a");
    keeper.start(one);
    keeper.end(one, 0, { rttMs: 8_000, failed: true });
    expect(rttOf(one)).toBe(8_000);
  });

  test("weighs what its Retry-After asks for, up to 300 s", () => {
    const one = balanced("a");
    keeper.start(one);
    keeper.end(one, 0, { rttMs: 1, failed: true, retryAfterMs: 20_000 });
    expect(rttOf(one)).toBe(20_000);
    keeper.start(one);
    keeper.end(one, 0, { rttMs: 1, failed: true, retryAfterMs: 9_000_000 });
    expect(rttOf(one)).toBe(MAX_RETRY_AFTER_MS);
  });
});
