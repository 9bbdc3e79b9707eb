import { compileFault, type FaultPolicy, isMeshError } from "@tulle/policy";
import { FakeClock, seededRandom } from "@tulle/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callOf, defaultTimeouts, ScriptedReply } from "../../test/scripted.ts";
import type { CallCancellation } from "../cancellation.ts";
import { regexEngine } from "../routing/regex-engine.ts";
import type { Call, Send } from "../send.ts";
import { enforceDeadline } from "./enforce-deadline.ts";
import { HeldCalls, injectFault } from "./inject-fault.ts";

const setUp = (fault: FaultPolicy, next?: Send) => {
  const clock = new FakeClock();
  const held = new HeldCalls();
  const counters = { faultDelays: 0, faultAborts: 0, faultsOverLimit: 0 };
  const sent: number[] = [];
  const answering: Send = () => {
    sent.push(clock.now());
    return Promise.resolve(new ScriptedReply(200));
  };
  const kit = { rule: "default/reviews reviews/0", clock, random: seededRandom(1), held, counters };
  const send = injectFault(compileFault(fault, regexEngine), kit)(next ?? answering);
  return { clock, held, counters, sent, send, kit };
};

const caught = (ended: Promise<unknown>): Promise<unknown> => ended.catch((error: unknown) => error);

/** Lets promises settle. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a delay", () => {
  test("holds the call up and then lets it go on", async () => {
    const { clock, counters, sent, send } = setUp({ delay: { fixed: "2s" } });
    const call = callOf();
    const ended = send(call);
    await clock.advanceAsync(1_999);
    expect(sent).toEqual([]);
    await clock.advanceAsync(1);
    expect([(await ended).status, sent, call.injectedDelayMs]).toEqual([200, [2_000], 2_000]);
    expect([counters.faultDelays, clock.pendingTimers, call.cancel.listening]).toEqual([1, 0, 0]);
  });

  test("ends at once with the caller's abort, and leaves no timer", async () => {
    const { clock, held, send } = setUp({ delay: { fixed: "1h" } });
    const call = callOf();
    const ended = caught(send(call));
    const reason = new Error("changed my mind");
    call.cancel.cancel(reason);
    expect([await ended, clock.pendingTimers, held.size]).toEqual([reason, 0, 0]);
  });

  test.each<[string, Partial<Parameters<typeof callOf>[0]>]>([
    ["the caller's", { options: { timeout: 300 } }],
    ["the visit's", { inherited: { deadlineMs: 300, context: undefined } }],
    ["a gRPC caller's", { headers: ["grpc-timeout", "300m"] }],
  ])("ends with %s deadline", async (_, over) => {
    const { clock, held, sent, send } = setUp({ delay: { fixed: "2s" } });
    const ended = caught(send(callOf(over)));
    await clock.advanceAsync(300);
    expect(isMeshError(await ended, "DEADLINE_EXCEEDED")).toBe(true);
    expect([sent, clock.pendingTimers, held.size]).toEqual([[], 0, 0]);
  });

  test("is no part of the rule's timeout, but of the caller's", async () => {
    const deadlineUnder = async (options: Call["options"]): Promise<number> => {
      const { clock, kit } = setUp({});
      const limited = enforceDeadline(defaultTimeouts, clock)(() => Promise.resolve(new ScriptedReply(200)));
      const call = callOf({ options });
      const ended = injectFault(compileFault({ delay: { fixed: "10s" } }, regexEngine), kit)(limited)(call);
      await clock.advanceAsync(10_000);
      await ended;
      return call.deadlineMs;
    };
    expect(await deadlineUnder({})).toBe(10_000 + defaultTimeouts.timeoutMs);
    expect(await deadlineUnder({ timeout: "12s" })).toBe(12_000);
  });

  test("is given up when the mesh is left", async () => {
    const { clock, held, send } = setUp({ delay: { fixed: "1h" } });
    const ended = caught(send(callOf()));
    held.close();
    expect(isMeshError(await ended, "MESH_CLOSED")).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });
});

test("no more calls than the policy allows are held up at once; others pass unharmed", async () => {
  const { clock, counters, held, sent, send } = setUp({ delay: { fixed: "1s" }, maxActive: 2 });
  const ended = [send(callOf()), send(callOf()), send(callOf())];
  await settled();
  expect([held.size, sent, counters.faultsOverLimit]).toEqual([2, [0], 1]);
  await clock.advanceAsync(1_000);
  await Promise.all(ended);
  expect(held.size).toBe(0);
  const again = send(callOf());
  expect(held.size).toBe(1);
  await clock.advanceAsync(1_000);
  await again;
});

describe("an abort", () => {
  const bodyOf = (reply: Awaited<ReturnType<Send>>): string => {
    const chunks: Buffer[] = [];
    reply.take({ data: (chunk) => chunks.push(chunk) > 0, end: () => undefined, error: () => undefined });
    return Buffer.concat(chunks).toString();
  };

  test("answers with its status and Envoy's text, and sends nothing", async () => {
    const { counters, sent, send } = setUp({ abort: { status: 418 } });
    const call = callOf();
    const reply = await send(call);
    expect([reply.status, reply.headers["content-type"], bodyOf(reply)]).toEqual([
      418,
      "text/plain",
      "fault filter abort",
    ]);
    expect([sent, counters.faultAborts, call.injectedAbort]).toEqual([[], 1, true]);
  });

  test.each([
    [{ status: 503 }, "14"],
    [{ grpcStatus: "NOT_FOUND" as const }, "5"],
  ])("answers a call that speaks gRPC with status 200 and the gRPC status: %o", async (abort, code) => {
    const reply = await setUp({ abort }).send(callOf({ headers: ["content-type", "application/grpc+proto"] }));
    expect([reply.status, reply.headers["grpc-status"], reply.headers["grpc-message"], bodyOf(reply)]).toEqual([
      200,
      code,
      "fault filter abort",
      "",
    ]);
    expect(reply.headers["content-type"]).toBe("application/grpc");
  });

  test("comes after the delay", async () => {
    const { clock, sent, send } = setUp({ delay: { fixed: "1s" }, abort: { grpcStatus: "UNAVAILABLE" } });
    const call = callOf();
    const ended = send(call);
    await clock.advanceAsync(1_000);
    expect([(await ended).status, clock.now(), sent, call.injectedDelayMs]).toEqual([503, 1_000, [], 1_000]);
  });
});

test("calls whose headers do not match go on untouched, and cost no chance", async () => {
  const { sent, send } = setUp({ headers: { "end-user": { exact: "jason" } }, abort: { status: 500, percent: 50 } });
  for (let call = 0; call < 20; call++) expect((await send(callOf())).status).toBe(200);
  expect(sent.length).toBe(20);
});

test("whenever calls come, go on, are given up or run out of time, nothing is left in the end", async () => {
  const life = fc.record({
    beginMs: fc.integer({ min: 0, max: 5_000 }),
    abortAfterMs: fc.option(fc.integer({ min: 0, max: 5_000 }), { nil: undefined }),
    timeout: fc.option(fc.integer({ min: 1, max: 5_000 }), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(life, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), async (lives, maxActive) => {
      const { clock, held, send } = setUp({
        delay: { exponential: "1s", percent: 80 },
        abort: { status: 503, percent: 30 },
        maxActive,
      });
      let most = 0;
      const calls: Promise<unknown>[] = [];
      const made: Call[] = [];
      for (const { beginMs, abortAfterMs, timeout } of lives) {
        clock.after(beginMs, () => {
          const call = callOf({ startedAtMs: clock.now(), ...(timeout === undefined ? {} : { options: { timeout } }) });
          made.push(call);
          calls.push(caught(send(call)));
          most = Math.max(most, held.size);
          if (abortAfterMs !== undefined) clock.after(abortAfterMs, () => call.cancel.cancel(new Error("gone")));
        });
      }
      await clock.advanceAsync(3_600_000 + 10_000);
      await Promise.all(calls);
      expect(most).toBeLessThanOrEqual(maxActive);
      expect([held.size, clock.pendingTimers, made.length]).toEqual([0, 0, lives.length]);
      expect(made.every(({ cancel }) => (cancel as CallCancellation).listening === 0)).toBe(true);
    }),
    { numRuns: 40 },
  );
});
