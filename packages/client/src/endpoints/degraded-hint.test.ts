import { expect, test } from "vitest";
import { degradedForMs } from "./degraded-hint.ts";

test.each([
  ["30", 30_000],
  ["0", 0],
  ["300", 300_000],
  ["301", 300_000],
  ["999999999", 300_000],
  ["9999999999", 10_000],
  ["", 10_000],
  ["true", 10_000],
  ["-1", 10_000],
  ["1.5", 10_000],
])('a reply that says "%s" makes its endpoint degraded for %i ms', (value, ms) => {
  expect(degradedForMs(value)).toBe(ms);
});
