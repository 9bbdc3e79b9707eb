import { expect, test } from "vitest";
import { RESET_BURST, RESETS_PER_SECOND, ResetAllowance } from "./reset-allowance.ts";

const resetsUntilRefused = (allowance: ResetAllowance, nowMs: number): number => {
  let allowed = 0;
  while (allowed < 10 * RESET_BURST && allowance.tryReset(nowMs)) allowed++;
  return allowed;
};

test("a burst of resets is allowed, and the last one of it says so", () => {
  expect(resetsUntilRefused(new ResetAllowance(0), 0)).toBe(RESET_BURST - 1);
});

test("resets at the rate that servers bear go on for ever", () => {
  const allowance = new ResetAllowance(0);
  const seconds = 10 * RESET_BURST;
  for (let second = 1; second <= seconds; second++) {
    for (let each = 0; each < RESETS_PER_SECOND; each++) expect(allowance.tryReset(second * 1_000)).toBe(true);
  }
});

test("a rest gives the burst back and no more", () => {
  const allowance = new ResetAllowance(0);
  resetsUntilRefused(allowance, 0);
  expect(resetsUntilRefused(allowance, 3_600_000)).toBe(RESET_BURST - 1);
});
