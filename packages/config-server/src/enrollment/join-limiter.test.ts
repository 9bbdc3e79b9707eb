import { FakeClock } from "@tulle/testing";
import { expect, test } from "vitest";
import { createJoinLimiter, FAILED_JOIN_BURST } from "./join-limiter.ts";

test("an address that failed too often waits, others do not", () => {
  const clock = new FakeClock();
  const limiter = createJoinLimiter(clock);
  for (let failure = 0; failure < FAILED_JOIN_BURST; failure++) {
    expect(limiter.mayTry("10.0.0.1")).toBe(true);
    limiter.failed("10.0.0.1");
  }
  expect(limiter.mayTry("10.0.0.1")).toBe(false);
  expect(limiter.mayTry("10.0.0.2")).toBe(true);
  clock.advance(1000);
  expect(limiter.mayTry("10.0.0.1")).toBe(true);
  limiter.failed("10.0.0.1");
  expect(limiter.mayTry("10.0.0.1")).toBe(false);
});
