import { isMeshError } from "@tulle/policy";
import { FakeClock, seededRandom } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { callOf, defaultRetry, ScriptedReply, type Step, script } from "../../test/scripted.ts";
import { RetryBudget } from "../retry/retry-budget.ts";
import type { Call } from "../send.ts";
import { type RetryKit, retry } from "./retry.ts";

const setup = (steps: Step[], over: Partial<RetryKit> = {}) => {
  const clock = new FakeClock();
  const send = script(...steps);
  const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 10, ttlMs: 10_000 }, 0);
  const counters = { retries: 0, retriesOverBudget: 0, retriesWithoutBody: 0 };
  const kit: RetryKit = {
    policy: defaultRetry,
    fallback: defaultRetry,
    budget,
    clock,
    random: seededRandom(1),
    counters,
    ...over,
  };
  const layer = retry(kit)(send);
  const run = async (call: Call = callOf()) => {
    const ended = layer(call).then(
      (reply) => ({ status: reply.status, code: undefined }),
      (error: unknown) => ({ status: undefined, code: isMeshError(error) ? error.code : String(error) }),
    );
    await clock.advanceAsync(1_000);
    return ended;
  };
  return { clock, send, counters, budget, layer, run };
};

const terminated = { code: "CONNECTION_TERMINATED", progress: "sent" } as const;
const unsent = { code: "CONNECT_FAILED", progress: "not-sent" } as const;

describe("retry", () => {
  test("a first success is the reply, and no machinery is started", async () => {
    const { run, counters, clock } = setup([200]);
    expect(await run()).toEqual({ status: 200, code: undefined });
    expect([counters.retries, clock.pendingTimers]).toEqual([0, 0]);
  });

  test("a failed GET is repeated after a wait, and the numbers of the attempts go on", async () => {
    const { run, send, counters } = setup([terminated, 503, 200]);
    expect((await run()).status).toBe(200);
    expect(send.sent.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(send.sent[1]?.startedAtMs).toBeGreaterThan(0);
    expect(send.sent[1]?.waitedMs).toBe(send.sent[1]?.startedAtMs);
    expect(send.sent[2]?.waitedMs).toBeLessThan(50);
    expect(counters.retries).toBe(2);
  });

  test("the last reply is the answer when no retry is left", async () => {
    const { run, send } = setup([503, 503, 503]);
    expect(await run()).toEqual({ status: 503, code: undefined });
    expect(send.sent).toHaveLength(3);
  });

  test("the last failure is the answer when no retry is left, and knows all attempts", async () => {
    const { layer, clock } = setup([unsent, terminated, unsent]);
    const ended = layer(callOf()).catch((error: unknown) => error);
    await clock.advanceAsync(1_000);
    const error = await ended;
    expect(isMeshError(error, "CONNECT_FAILED") && error.attempts.map(({ code }) => code)).toEqual([
      "CONNECT_FAILED",
      "CONNECTION_TERMINATED",
      "CONNECT_FAILED",
    ]);
  });

  test("replies that are not the last word are discarded", async () => {
    const first = new ScriptedReply(503);
    const { run } = setup([first, 200]);
    await run();
    expect(first.discarded).toBe(true);
  });

  test.each([
    ["POST that may have been processed", [terminated], { code: "CONNECTION_TERMINATED" }],
    ["POST answered 503", [503], { status: 503 }],
    ["POST that was provably not sent", [unsent, 200], { status: 200 }],
    ["POST that a peer's gate refused", [{ refused: 503 }, 200], { status: 200 }],
    [
      "POST that every peer's gate refused",
      [{ refused: 503 }, { refused: 503 }, { refused: 503 }],
      { code: "REFUSED_UNPROCESSED" },
    ],
  ] as [string, Step[], object][])("%s", async (_name, steps, ended) => {
    const { run, send } = setup(steps);
    expect(await run(callOf({ method: "POST" }))).toMatchObject(ended);
    expect(send.sent).toHaveLength(steps.length);
  });

  test("404 is an answer like any other", async () => {
    const { run, clock } = setup([404]);
    expect((await run()).status).toBe(404);
    expect(clock.pendingTimers).toBe(0);
  });

  test("a wait that would pass the deadline is not begun", async () => {
    const { run, send } = setup([new ScriptedReply(503, { "retry-after": "3" })]);
    const call = callOf();
    call.deadlineMs = 2_000;
    expect((await run(call)).status).toBe(503);
    expect(send.sent).toHaveLength(1);
  });

  test("Retry-After is waited for when it fits", async () => {
    const { layer, clock, send } = setup([new ScriptedReply(503, { "retry-after": "2" }), 200]);
    const ended = layer(callOf());
    await clock.advanceAsync(1_999);
    expect(send.sent).toHaveLength(1);
    await clock.advanceAsync(1_001);
    expect((await ended).status).toBe(200);
  });

  test("giving the call up ends the wait, with the caller's reason and no timer left", async () => {
    const { layer, clock, send } = setup([new ScriptedReply(503, { "retry-after": "2" }), 200]);
    const call = callOf();
    const ended = layer(call).catch((error: unknown) => error);
    await clock.advanceAsync(10);
    expect(clock.pendingTimers).toBe(1);
    call.cancel.cancel("a reason that is no Error");
    expect(await ended).toBe("a reason that is no Error");
    expect([clock.pendingTimers, send.sent.length, call.cancel.listening]).toEqual([0, 1, 0]);
  });

  test("an empty budget means no retry", async () => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0, ttlMs: 10_000 }, 0);
    for (let retry = 0; retry < 3; retry++) budget.tryWithdraw(0);
    const { run, counters } = setup([503], { budget });
    expect((await run()).status).toBe(503);
    expect(counters.retriesOverBudget).toBe(1);
  });

  test("a body that is spent is counted", async () => {
    const { run, counters } = setup([503]);
    expect((await run(callOf({ method: "PUT", replayable: false }))).status).toBe(503);
    expect(counters.retriesWithoutBody).toBe(1);
  });

  test.each([
    [false, 1],
    [0, 1],
    [1, 2],
    [true, 3],
    [5, 6],
  ])("the caller's retry: %s makes %i attempts", async (wanted, attempts) => {
    const { run, send } = setup(Array.from({ length: attempts }, () => 503));
    await run(callOf({ options: { retry: wanted } }));
    expect(send.sent).toHaveLength(attempts);
  });

  test("a caller may ask for retries where the policy has none", async () => {
    const { run } = setup([503, 200], { policy: undefined });
    expect((await run(callOf({ options: { retry: true } }))).status).toBe(200);
  });
});
