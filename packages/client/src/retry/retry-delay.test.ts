import { seededRandom } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { defaultRetry } from "../../test/scripted.ts";
import { parseRetryAfter, retryDelay } from "./retry-delay.ts";

describe("retryDelay", () => {
  test.each([
    [1, 25],
    [2, 50],
    [3, 100],
    [4, 200],
    [5, 250],
    [9, 250],
  ])("retry %i waits at most %i ms, with full jitter", (retry, mostMs) => {
    expect(retryDelay(defaultRetry, retry, undefined, () => 0)).toBe(0);
    expect(retryDelay(defaultRetry, retry, undefined, () => 0.5)).toBe(mostMs / 2);
    const random = seededRandom(retry);
    for (let draw = 0; draw < 100; draw++)
      expect(retryDelay(defaultRetry, retry, undefined, random)).toBeLessThan(mostMs);
  });

  test("a server's Retry-After is kept, stretched by up to a half, and ignored above 300 s", () => {
    expect(retryDelay(defaultRetry, 1, 2_000, () => 0)).toBe(2_000);
    expect(retryDelay(defaultRetry, 1, 2_000, () => 0.999)).toBeCloseTo(2_999);
    expect(retryDelay(defaultRetry, 1, 300_001, () => 0)).toBeUndefined();
  });
});

describe("parseRetryAfter", () => {
  const wallNowMs = Date.UTC(2026, 0, 1);
  test.each([
    [undefined, undefined],
    ["3", 3_000],
    ["0", 0],
    ["Thu, 01 Jan 2026 00:00:05 GMT", 5_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["soon", undefined],
  ])("%s", (header, ms) => expect(parseRetryAfter(header, wallNowMs)).toEqual(ms));
});
