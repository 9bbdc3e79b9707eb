import { isMeshError } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { callOf, defaultTimeouts, script } from "../../test/scripted.ts";
import { beginAttempt, headerOf } from "../call.ts";
import { EXPECTED_TIMEOUT_HEADER, limitAttempt } from "./limit-attempt.ts";

const limited = { ...defaultTimeouts, attemptTimeoutMs: 300 };

describe("limitAttempt", () => {
  test("gives up the attempt and not the call", async () => {
    const clock = new FakeClock();
    const call = callOf();
    const attempt = beginAttempt(call, 0);
    const ended = limitAttempt(limited, clock)(script("hang"))(call, attempt).catch((error: unknown) => error);
    await clock.advanceAsync(300);
    expect(isMeshError(await ended, "ATTEMPT_TIMEOUT")).toBe(true);
    expect([attempt.code, call.cancel.cancelled]).toEqual(["ATTEMPT_TIMEOUT", false]);
  });

  test("leaves no timer behind an attempt that ends in time", async () => {
    const clock = new FakeClock();
    const call = callOf();
    await limitAttempt(limited, clock)(script(200))(call, beginAttempt(call, 0));
    expect(clock.pendingTimers).toBe(0);
  });

  test("starts no timer where the call's own deadline comes first", async () => {
    const clock = new FakeClock();
    const call = callOf();
    call.deadlineMs = 200;
    void limitAttempt(limited, clock)(script("hang"))(call, beginAttempt(call, 0));
    expect(clock.pendingTimers).toBe(0);
  });

  test.each([
    ["the attempt's limit", 300, 1_000, "300"],
    ["what is left of the call", Number.POSITIVE_INFINITY, 1_000.7, "1000"],
    ["at least a millisecond", Number.POSITIVE_INFINITY, 0.3, "1"],
    ["nothing where there is no limit", Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, undefined],
  ])("tells the next hop %s", async (_name, attemptTimeoutMs, deadlineMs, header) => {
    const call = callOf();
    call.deadlineMs = deadlineMs;
    const attempt = beginAttempt(call, 0);
    await limitAttempt({ ...defaultTimeouts, attemptTimeoutMs }, new FakeClock())(script(200))(call, attempt);
    expect(headerOf(attempt.headers, EXPECTED_TIMEOUT_HEADER)).toBe(header);
  });

  test("the caller's limit wins over the policy's", async () => {
    const clock = new FakeClock();
    const call = callOf({ options: { attemptTimeout: "50ms" } });
    const ended = limitAttempt(
      limited,
      clock,
    )(script("hang"))(call, beginAttempt(call, 0)).catch((error: unknown) => error);
    await clock.advanceAsync(50);
    expect(isMeshError(await ended, "ATTEMPT_TIMEOUT")).toBe(true);
  });

  test("tells gRPC's header what is left, in gRPC's form", async () => {
    const call = callOf();
    call.deadlineMs = 1_000.7;
    call.isGrpc = true;
    const attempt = beginAttempt(call, 0);
    await limitAttempt(defaultTimeouts, new FakeClock())(script(200))(call, attempt);
    expect(headerOf(attempt.headers, "grpc-timeout")).toBe("1000m");
  });
});
