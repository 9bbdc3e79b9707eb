import { isMeshError } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { callOf, defaultTimeouts, ScriptedReply } from "../../test/scripted.ts";
import type { Call, Send } from "../send.ts";
import { enforceDeadline, limitOf } from "./enforce-deadline.ts";

const whole = { ...defaultTimeouts, timeoutMs: 2_000, covers: "whole" } as const;

/** A send that waits until its call is given up. */
const never: Send = (call) => new Promise((_resolve, reject) => call.cancel.onCancel(reject));

const failureOf = async (clock: FakeClock, call: Call, timeouts = defaultTimeouts, advanceMs = 20_000) => {
  const ended = enforceDeadline(timeouts, clock)(never)(call).catch((error: unknown) => error);
  await clock.advanceAsync(advanceMs);
  return ended;
};

describe("enforceDeadline", () => {
  test.each([
    ["the policy's", {}, undefined, 15_000],
    ["the caller's", { timeout: "2s" }, undefined, 2_000],
    ["the caller's, although the policy's is earlier", { timeout: 60_000 }, undefined, 60_000],
    ["the visit's, when it is earlier", { timeout: "2s" }, 500, 500],
    ["the policy's, when the visit's is later", {}, 90_000, 15_000],
    ["none, when the caller turns it off", { timeout: 0 }, undefined, Number.POSITIVE_INFINITY],
  ])("the deadline is %s", (_name, options, inheritedMs, deadlineMs) => {
    const inherited = inheritedMs === undefined ? undefined : { deadlineMs: inheritedMs, context: undefined };
    const call = callOf({ options, inherited });
    void enforceDeadline(defaultTimeouts, new FakeClock())(never)(call).catch(() => undefined);
    expect(call.deadlineMs).toBe(deadlineMs);
  });

  test("a call that takes longer fails, and says whose limit it was", async () => {
    const own = await failureOf(new FakeClock(), callOf());
    expect(isMeshError(own, "DEADLINE_EXCEEDED") && own.message).toContain("15s");
    const inherited = await failureOf(new FakeClock(), callOf({ inherited: { deadlineMs: 700, context: undefined } }));
    expect(isMeshError(inherited, "DEADLINE_EXCEEDED") && inherited.message).toContain("the visit");
  });

  test("a call in a visit without time left is not begun", async () => {
    const call = callOf({ startedAtMs: 1_000, inherited: { deadlineMs: 900, context: undefined } });
    const unreachable: Send = () => expect.unreachable();
    const ended = enforceDeadline(defaultTimeouts, new FakeClock(1_000))(unreachable)(call);
    await expect(ended).rejects.toMatchObject({ code: "DEADLINE_SPENT" });
  });

  test("the default ends at the headers, so that a long body survives it", async () => {
    const clock = new FakeClock();
    const call = callOf();
    await enforceDeadline(defaultTimeouts, clock)(() => Promise.resolve(new ScriptedReply(200)))(call);
    expect(clock.pendingTimers).toBe(0);
    clock.advance(60_000);
    expect(call.cancel.cancelled).toBe(false);
  });

  test("a limit that a rule or a caller sets covers the body, and leaves no timer behind it", async () => {
    for (const [timeouts, options] of [
      [whole, {}],
      [defaultTimeouts, { timeout: "2s" }],
    ] as const) {
      const clock = new FakeClock();
      const call = callOf({ options });
      const reply = new ScriptedReply(200);
      const send = enforceDeadline(timeouts, clock)(() => Promise.resolve(reply));
      await send(call);
      expect(clock.pendingTimers).toBe(1);
      reply.finish();
      expect(clock.pendingTimers).toBe(0);

      const slow = callOf({ options, startedAtMs: clock.now() });
      await send(slow);
      clock.advance(2_000);
      expect(isMeshError(slow.cancel.reason, "DEADLINE_EXCEEDED")).toBe(true);
    }
  });
});

describe("limitOf", () => {
  test.each([
    [undefined, undefined],
    [0, Number.POSITIVE_INFINITY],
    ["0s", Number.POSITIVE_INFINITY],
    ["250ms", 250],
    [1_500, 1_500],
  ])("%s", (written, ms) => expect(limitOf(written)).toBe(ms));
});
