import { seededRandom } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { defaultRetry } from "../../test/scripted.ts";
import { askedDelay, parseRetryAfter, retryDelay } from "./retry-delay.ts";

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

  test("what a server asks for is kept, stretched by up to a half, and no retry made above 300 s", () => {
    const asked = (waitMs: number, stretched = true) => ({ waitMs, stretched });
    expect(retryDelay(defaultRetry, 1, asked(2_000), () => 0)).toBe(2_000);
    expect(retryDelay(defaultRetry, 1, asked(2_000), () => 0.999)).toBeCloseTo(2_999);
    expect(retryDelay(defaultRetry, 1, asked(2_000, false), () => 0.999)).toBe(2_000);
    expect(retryDelay(defaultRetry, 1, asked(300_001), () => 0)).toBeUndefined();
    expect(retryDelay(defaultRetry, 1, "never", () => 0)).toBeUndefined();
  });
});

describe("askedDelay", () => {
  const wallNowMs = Date.UTC(2026, 0, 1);
  const inSeconds = (seconds: number) => String(wallNowMs / 1_000 + seconds);
  test.each([
    [503, {}, undefined],
    [503, { "retry-after": "3" }, { waitMs: 3_000, stretched: true }],
    [503, { "retry-after": "Thu, 01 Jan 2026 00:00:05 GMT" }, { waitMs: 5_000, stretched: true }],
    [503, { "grpc-retry-pushback-ms": "250" }, { waitMs: 250, stretched: false }],
    [503, { "grpc-retry-pushback-ms": "250", "retry-after": "3" }, { waitMs: 250, stretched: false }],
    [503, { "grpc-retry-pushback-ms": "-1" }, "never"],
    [503, { "grpc-retry-pushback-ms": "soon" }, "never"],
    [429, { "x-ratelimit-reset": "7" }, { waitMs: 7_000, stretched: true }],
    [429, { "x-ratelimit-reset": inSeconds(7) }, { waitMs: 7_000, stretched: true }],
    [429, { "ratelimit-reset": "7" }, { waitMs: 7_000, stretched: true }],
    [429, { "retry-after": "3", "x-ratelimit-reset": "7" }, { waitMs: 3_000, stretched: true }],
    [429, { "x-ratelimit-reset": "soon" }, undefined],
    [503, { "x-ratelimit-reset": "7" }, undefined],
    [503, { "x-ratelimit-reset": "7", "x-envoy-ratelimited": "true" }, { waitMs: 7_000, stretched: true }],
  ] as const)("%i with %j asks for %j", (status, headers, asked) =>
    expect(askedDelay({ status, headers }, wallNowMs)).toEqual(asked),
  );
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
