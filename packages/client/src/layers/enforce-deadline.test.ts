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

describe("the longest duration", () => {
  const limited = { ...defaultTimeouts, maxDurationMs: 60_000 };

  test("ends a stream whose headers came in time, with its own code", async () => {
    const clock = new FakeClock();
    const call = callOf();
    await enforceDeadline(limited, clock)(() => Promise.resolve(new ScriptedReply(200)))(call);
    expect(call.deadlineMs).toBe(15_000);
    clock.advance(59_999);
    expect(call.cancel.cancelled).toBe(false);
    clock.advance(1);
    expect(isMeshError(call.cancel.reason, "MAX_DURATION_EXCEEDED") && call.cancel.reason.flag).toBe("UMSDR");
  });

  test("leaves no timer behind a body that ends in time", async () => {
    const clock = new FakeClock();
    const reply = new ScriptedReply(200);
    await enforceDeadline(limited, clock)(() => Promise.resolve(reply))(callOf());
    expect(clock.pendingTimers).toBe(1);
    reply.finish();
    expect(clock.pendingTimers).toBe(0);
  });

  test("ends a call without an answer too, where it is the earliest limit, also one that its caller gave all time", async () => {
    const short = { ...defaultTimeouts, maxDurationMs: 1_000 };
    expect(isMeshError(await failureOf(new FakeClock(), callOf(), short), "MAX_DURATION_EXCEEDED")).toBe(true);
    const patient = callOf({ options: { timeout: 0 } });
    expect(isMeshError(await failureOf(new FakeClock(), patient, short), "MAX_DURATION_EXCEEDED")).toBe(true);
  });
});

test("a visit's deadline ends at the headers, and the call's own goes on for the body", async () => {
  const clock = new FakeClock();
  const call = callOf({ inherited: { deadlineMs: 700, context: undefined } });
  await enforceDeadline(whole, clock)(() => Promise.resolve(new ScriptedReply(200)))(call);
  clock.advance(1_999);
  expect(call.cancel.cancelled).toBe(false);
  clock.advance(1);
  expect(isMeshError(call.cancel.reason, "DEADLINE_EXCEEDED") && call.cancel.reason.message).toContain("2s");
});

describe("a gRPC call", () => {
  const deadlineOf = (headers: string[], options = {}) => {
    const call = callOf({ headers, options });
    void enforceDeadline(defaultTimeouts, new FakeClock())(never)(call).catch(() => undefined);
    return call;
  };

  test("brings its own timeout in its header, which is not sent as it came", () => {
    const call = deadlineOf(["te", "trailers", "Grpc-Timeout", "250m", "content-type", "application/grpc+proto"]);
    expect([call.deadlineMs, call.isGrpc]).toEqual([250, true]);
    expect(call.sentHeaders).toEqual(["te", "trailers", "content-type", "application/grpc+proto"]);
  });

  test("yields to the option, and is known by its content type alone", () => {
    expect(deadlineOf(["grpc-timeout", "3S"], { timeout: 500 })).toMatchObject({ deadlineMs: 500, sentHeaders: [] });
    expect(deadlineOf(["content-type", "application/grpc"])).toMatchObject({ deadlineMs: 15_000, isGrpc: true });
    expect(deadlineOf(["content-type", "text/plain"]).isGrpc).toBe(false);
  });

  test("whose header makes no sense has the default, and hands it on as it came", () => {
    const call = deadlineOf(["grpc-timeout", "soon"]);
    expect([call.deadlineMs, call.sentHeaders]).toEqual([15_000, ["grpc-timeout", "soon"]]);
  });
});

test("an injected delay is no part of the rule's limit, but of the caller's", () => {
  const deadlineOf = (options: object) => {
    const call = callOf({ options });
    call.injectedDelayMs = 400;
    void enforceDeadline(whole, new FakeClock())(never)(call).catch(() => undefined);
    return call.deadlineMs;
  };
  expect([deadlineOf({}), deadlineOf({ timeout: 1_000 })]).toEqual([2_400, 1_000]);
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
