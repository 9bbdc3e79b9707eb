import fc from "fast-check";
import { expect, test } from "vitest";
import { formatDuration, MAX_DURATION_MS, parseDuration, tryParseDuration } from "./duration.ts";

test.each([
  ["0s", 0],
  ["250ms", 250],
  ["1.5s", 1_500],
  ["15s", 15_000],
  ["1m30s", 90_000],
  ["1h", 3_600_000],
  ["1h2m3s4ms", 3_723_004],
])("%s is %d ms", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  "",
  "15",
  "s",
  "1 s",
  "-1s",
  "+1s",
  "1S",
  "1s1m",
  "1s1s",
  "1e3s",
  ".5s",
  "1.s",
  "1s ",
  "1d",
  "597h",
  "Infinity",
])("%j is no duration", (text) => {
  expect(tryParseDuration(text)).toBeUndefined();
  expect(() => parseDuration(text)).toThrow(`"${text}" is not a duration: write a number and a unit`);
});

test("what is printed reads back as the same number", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_DURATION_MS }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms);
    }),
  );
  expect([0, 250, 90_000, 3_600_000].map(formatDuration)).toEqual(["0ms", "250ms", "90s", "1h"]);
});
