import { expect, test } from "vitest";
import { formatGrpcTimeout, parseGrpcTimeoutMs } from "./grpc-timeout.ts";
import { MAX_TIMER_MS } from "./max-timer.ts";

test.each([
  ["250m", 250],
  ["3S", 3_000],
  ["2M", 120_000],
  ["1H", 3_600_000],
  ["500u", 0.5],
  ["99999999H", MAX_TIMER_MS],
  ["123456789m", undefined],
  ["-1m", undefined],
  ["1", undefined],
  ["1s", undefined],
])("%s is read as %s ms", (text, ms) => expect(parseGrpcTimeoutMs(text)).toBe(ms));

test.each([
  [250.9, "250m"],
  [0.2, "1m"],
  [99_999_999, "99999999m"],
  [100_000_500, "100000S"],
])("%d ms are written as %s, which reads back as no more", (ms, text) => {
  expect(formatGrpcTimeout(ms)).toBe(text);
  expect(parseGrpcTimeoutMs(text)).toBeLessThanOrEqual(Math.max(1, ms));
});
