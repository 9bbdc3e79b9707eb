import { type EffectiveHedge, isMeshError, type MeshErrorCode } from "@tulle/policy";
import { FakeClock, seededRandom } from "@tulle/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callOf, defaultRetry, retryCounters, ScriptedReply, type Step, script } from "../../test/scripted.ts";
import { failCall } from "../failure.ts";
import { LatencyEstimate } from "../retry/latency-estimate.ts";
import { prepareBody } from "../retry/replay-body.ts";
import { RetryBudget } from "../retry/retry-budget.ts";
import { AttemptSuperseded } from "../retry/superseded.ts";
import type { Attempt, AttemptSend, Call } from "../send.ts";
import { type HedgeKit, hedge } from "./hedge.ts";

const after50: EffectiveHedge = { after: { delayMs: 50 }, attempts: 1, nonIdempotent: false };

const setup = (steps: Step[], over: Partial<HedgeKit> = {}) => {
  const clock = new FakeClock();
  const send = script(...steps);
  const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 10, ttlMs: 10_000 }, 0);
  const counters = retryCounters();
  const latency = new LatencyEstimate(0);
  const kit: HedgeKit = {
    policy: defaultRetry,
    fallback: defaultRetry,
    hedge: after50,
    hasUntried: () => true,
    budget,
    latency,
    clock,
    random: seededRandom(1),
    counters,
    ...over,
  };
  const layer = hedge(kit)(send);
  const begin = (call: Call = callOf({ startedAtMs: clock.now() })) =>
    layer(call).then(
      (reply) => ({ status: reply.status, code: undefined }),
      (error: unknown) => ({ status: undefined, code: isMeshError(error) ? error.code : String(error) }),
    );
  return { clock, send, counters, budget, latency, layer, begin, kit };
};

/** An attempt that is given up remembers why. */
const listening = (send: ReturnType<typeof script>, aborted: unknown[]): AttemptSend => {
  return (call: Call, attempt: Attempt) => {
    const reply = send(call, attempt);
    const abort = attempt.abort;
    if (abort !== undefined) {
      attempt.abort = (reason) => {
        aborted.push(reason);
        abort(reason);
      };
    }
    return reply;
  };
};

const unsent = { code: "CONNECT_FAILED", progress: "not-sent" } as const;
const invalid = { code: "INVALID_CALL", progress: "not-sent" } as const;

describe("hedge", () => {
  test("an answer in time is the reply, and leaves no timer behind", async () => {
    const { begin, clock, counters, send } = setup([200]);
    expect(await begin()).toMatchObject({ status: 200 });
    expect([clock.pendingTimers, counters.hedges, send.sent.length]).toEqual([0, 0, 1]);
  });

  test("a second attempt begins when the first is late; its answer wins, and the first is given up", async () => {
    const { kit, clock, send, counters } = setup(["hang", 200]);
    const aborted: unknown[] = [];
    const ended = hedge(kit)(listening(send, aborted))(callOf());
    await clock.advanceAsync(49);
    expect(send.sent).toHaveLength(1);
    await clock.advanceAsync(1);
    expect((await ended).status).toBe(200);
    expect(aborted).toEqual([expect.any(AttemptSuperseded)]);
    expect([counters.hedges, counters.hedgesCancelled, clock.pendingTimers]).toEqual([1, 1, 0]);
    expect(send.sent[1]?.waitedMs).toBe(50);
  });

  test("the first attempt may still win, and the hedge is given up", async () => {
    const slow: AttemptSend = (call, attempt) =>
      attempt.number === 1
        ? new Promise((resolve) => clock.after(70, () => resolve(new ScriptedReply(200))))
        : send(call, attempt);
    const { kit, clock, send, counters } = setup(["hang"]);
    const call = callOf();
    const ended = hedge(kit)(slow)(call);
    await clock.advanceAsync(70);
    expect((await ended).status).toBe(200);
    expect([counters.hedgesCancelled, call.attempts[1]?.code, clock.pendingTimers]).toEqual([1, "SUPERSEDED", 0]);
  });

  test("an answer that comes although its attempt was given up is thrown away", async () => {
    const late = new ScriptedReply(200);
    const deaf: AttemptSend = (call, attempt) =>
      attempt.number === 1 ? new Promise((resolve) => clock.after(200, () => resolve(late))) : send(call, attempt);
    const { kit, clock, send } = setup([200]);
    const ended = hedge(kit)(deaf)(callOf());
    await clock.advanceAsync(50);
    await ended;
    await clock.advanceAsync(150);
    expect(late.discarded).toBe(true);
  });

  test("a failure that may be repeated begins the hedge at once", async () => {
    const { begin, send, clock } = setup([unsent, 200]);
    expect((await begin()).status).toBe(200);
    expect([send.sent.length, send.sent[1]?.startedAtMs, clock.pendingTimers]).toEqual([2, 0, 0]);
  });

  test("an error that no condition names is an answer like any other", async () => {
    const { begin, send } = setup([404]);
    expect((await begin()).status).toBe(404);
    expect(send.sent).toHaveLength(1);
  });

  test("a refusal of our own ends its attempt, and the call waits for the other", async () => {
    const slow: AttemptSend = (call, attempt) =>
      attempt.number === 1
        ? new Promise((resolve) => clock.after(70, () => resolve(new ScriptedReply(200))))
        : send(call, attempt);
    const { kit, clock, send } = setup([invalid]);
    const ended = hedge(kit)(slow)(callOf());
    await clock.advanceAsync(70);
    expect((await ended).status).toBe(200);
    expect(send.sent).toHaveLength(1);
  });

  test("when all attempts have failed the retries that are left go on, and a hedge counts as one of them", async () => {
    const { begin, send, clock } = setup([unsent, unsent, unsent]);
    const ended = begin();
    await clock.advanceAsync(1_000);
    expect(await ended).toMatchObject({ code: "CONNECT_FAILED" });
    expect(send.sent).toHaveLength(1 + defaultRetry.retries);
    const helped = setup([unsent, 503, 200]);
    const outcome = helped.begin();
    await helped.clock.advanceAsync(1_000);
    expect((await outcome).status).toBe(200);
  });

  test("without retries the first failure ends its attempt alone, and nothing begins because of it", async () => {
    const { begin, send } = setup([unsent], { policy: undefined });
    expect((await begin()).code).toBe("CONNECT_FAILED");
    expect(send.sent).toHaveLength(1);
  });

  test("several hedges begin one after the other, and the last reply of all is the answer when none succeeds", async () => {
    const { begin, send, clock } = setup(["hang", "hang", "hang", 200], { hedge: { ...after50, attempts: 3 } });
    const ended = begin();
    await clock.advanceAsync(150);
    expect((await ended).status).toBe(200);
    expect(send.sent.map(({ startedAtMs }) => startedAtMs)).toEqual([0, 50, 100, 150]);
  });

  test("a server's pushback delays the next hedge, and a negative one means none", async () => {
    const pushback = (ms: string) => new ScriptedReply(503, { "grpc-retry-pushback-ms": ms });
    const delayed = setup([pushback("300"), 200]);
    const ended = delayed.begin();
    await delayed.clock.advanceAsync(299);
    expect(delayed.send.sent).toHaveLength(1);
    await delayed.clock.advanceAsync(1);
    expect((await ended).status).toBe(200);
    const stopped = setup([pushback("-1")]);
    expect((await stopped.begin()).status).toBe(503);
    expect(stopped.clock.pendingTimers).toBe(0);
  });

  test("giving the call up ends a wait with nothing under way, with the caller's reason and no timer left", async () => {
    const { layer, clock } = setup([new ScriptedReply(503, { "grpc-retry-pushback-ms": "300" })]);
    const call = callOf();
    const ended = layer(call).catch((error: unknown) => error);
    await clock.advanceAsync(10);
    call.cancel.cancel("enough");
    expect(await ended).toBe("enough");
    expect([clock.pendingTimers, call.cancel.listening]).toEqual([0, 0]);
  });

  test("giving the call up gives up every attempt", async () => {
    const { layer, clock, send } = setup(["hang", "hang"]);
    const call = callOf();
    const ended = layer(call).catch((error: unknown) => error);
    await clock.advanceAsync(60);
    expect(send.sent).toHaveLength(2);
    call.cancel.cancel("enough");
    expect(await ended).toBe("enough");
    expect([clock.pendingTimers, call.cancel.listening]).toEqual([0, 0]);
  });

  test.each([
    ["a POST", callOf({ method: "POST" }), {}],
    [
      "a visit that is a retry",
      callOf({ inherited: { deadlineMs: undefined, context: undefined, isRetry: true } }),
      {},
    ],
    ["a caller that turned it off", callOf({ options: { hedge: false } }), {}],
    ["a caller that wants no retries", callOf({ options: { retry: false } }), {}],
    ["an upgrade", Object.assign(callOf(), { upgrade: "websocket" }), {}],
    ["no other endpoint", callOf(), { hasUntried: () => false }],
    [
      "a body that was not read to its end",
      callOf({ method: "PUT", ...prepareBody((async function* () {})() as never) }),
      {},
    ],
    ["an empty budget", callOf(), { budget: new RetryBudget({ ratio: 0, minPerSecond: 0, ttlMs: 1_000 }, 0) }],
  ] as [string, Call, Partial<HedgeKit>][])("%s is not hedged", async (_name, call, over) => {
    const { begin, send, clock, counters } = setup(["hang"], over);
    void begin(call);
    await clock.advanceAsync(500);
    expect([send.sent.length, counters.hedges]).toEqual([1, 0]);
  });

  test("what stood in the way of a hedge is not told of a call that was answered", async () => {
    const slow: AttemptSend = (call, attempt) =>
      new Promise((resolve) => clock.after(70, () => resolve(send(call, attempt))));
    const { kit, clock, send } = setup([404], {
      budget: new RetryBudget({ ratio: 0, minPerSecond: 0, ttlMs: 1_000 }, 0),
    });
    const call = callOf();
    const ended = hedge(kit)(slow)(call);
    await clock.advanceAsync(60);
    expect(call.noRetry).toBe("OVERFLOW_RETRIES");
    await clock.advanceAsync(10);
    expect([(await ended).status, call.noRetry]).toEqual([404, undefined]);
  });

  test("a POST is hedged where the policy says so, or its caller by an Idempotency-Key", async () => {
    for (const [call, nonIdempotent] of [
      [callOf({ method: "POST" }), true],
      [callOf({ method: "POST", headers: ["idempotency-key", "1"] }), false],
    ] as const) {
      const { begin, clock } = setup(["hang", 200], { hedge: { ...after50, nonIdempotent } });
      const ended = begin(call);
      await clock.advanceAsync(50);
      expect((await ended).status).toBe(200);
    }
  });

  test("no hedge begins that half of all answers would outlast", async () => {
    const { begin, clock, latency, send, counters } = setup(["hang"]);
    for (let answer = 0; answer < 50; answer++) latency.record(300, 0);
    const call = callOf();
    call.deadlineMs = 300;
    void begin(call);
    await clock.advanceAsync(200);
    expect([send.sent.length, counters.retriesOutOfTime]).toEqual([1, 1]);
  });

  test("a hedge costs one retry, and a loser whose request was sent one more", async () => {
    const budget = new RetryBudget({ ratio: 1, minPerSecond: 0, ttlMs: 10_000 }, 0);
    for (let call = 0; call < 9; call++) budget.deposit(0);
    const { begin, clock } = setup(["hang", 200], { budget });
    const ended = begin();
    await clock.advanceAsync(50);
    await ended;
    expect(budget.balance(50)).toBe(8);
  });

  test("by quantile: nothing is hedged while too little is known, then what is later than that share of the answers", async () => {
    const over = { hedge: { ...after50, after: { quantile: 0.9 } } };
    const unknown = setup(["hang"], over);
    void unknown.begin();
    await unknown.clock.advanceAsync(1_000);
    expect(unknown.send.sent).toHaveLength(1);

    const { begin, clock, latency, send } = setup(["hang", 200], over);
    for (let answer = 0; answer < 100; answer++) latency.record(answer < 90 ? 10 : 400, 0);
    const ended = begin();
    await clock.advanceAsync(9);
    expect(send.sent).toHaveLength(1);
    await clock.advanceAsync(3);
    expect((await ended).status).toBe(200);
  });

  test("what was given up counts among the latencies as long as it took", async () => {
    const { latency, clock, kit } = setup([]);
    for (let calls = 0; calls < 40; calls++) {
      const ended = hedge(kit)(script("hang", 200))(callOf({ startedAtMs: clock.now() }));
      await clock.advanceAsync(50);
      await ended;
    }
    // Half of the attempts took 50 ms and were given up, half answered at once.
    expect(latency.quantile(0.75, clock.now())).toBeGreaterThanOrEqual(50);
  });

  /** What one attempt does, when, and whether it heeds being given up. */
  const attemptPlan = fc.record({
    afterMs: fc.integer({ min: 0, max: 200 }),
    outcome: fc.constantFrom<"ok" | "busy" | "pushback" | "stop" | "broken" | "refused" | "invalid">(
      "ok",
      "busy",
      "pushback",
      "stop",
      "broken",
      "refused",
      "invalid",
    ),
    deaf: fc.boolean(),
  });

  test("whatever its attempts do, a call ends, with one reply or failure, and leaves nothing behind", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(attemptPlan, { minLength: 8, maxLength: 8 }),
        fc.integer({ min: 1, max: 4 }),
        fc.option(fc.integer({ min: 0, max: 400 }), { nil: undefined }),
        async (plans, hedges, givenUpMs) => {
          const { kit, clock } = setup([], { hedge: { ...after50, attempts: hedges } });
          const replies: ScriptedReply[] = [];
          let running = 0;
          const send: AttemptSend = (call, attempt) =>
            new Promise((resolve, reject) => {
              running++;
              const plan = plans[attempt.number - 1]!;
              const over = (settle: () => void): void => {
                timer.cancel();
                stop();
                running--;
                settle();
              };
              const answer = (status: number, headers = {}): void => {
                const reply = new ScriptedReply(status, headers);
                replies.push(reply);
                attempt.progress = "answered";
                over(() => resolve(reply));
              };
              const fail = (code: MeshErrorCode): void => over(() => reject(failCall(call, code, "planned")));
              attempt.progress = "sent";
              const timer = clock.after(plan.afterMs, () => {
                if (plan.outcome === "ok") answer(200);
                else if (plan.outcome === "busy") answer(503);
                else if (plan.outcome === "pushback") answer(503, { "grpc-retry-pushback-ms": "30" });
                else if (plan.outcome === "stop") answer(503, { "grpc-retry-pushback-ms": "-1" });
                else if (plan.outcome === "broken") fail("CONNECTION_TERMINATED");
                else if (plan.outcome === "refused") fail("NO_HEALTHY_ENDPOINT");
                else fail("INVALID_CALL");
              });
              const giveUp = (reason: unknown): void => over(() => reject(reason));
              const stop = call.cancel.onCancel(giveUp);
              if (!plan.deaf) attempt.abort = giveUp;
            });
          const call = callOf();
          let ends = 0;
          const ended = hedge(kit)(send)(call)
            .catch((error: unknown) => error)
            .finally(() => ends++);
          if (givenUpMs !== undefined) clock.after(givenUpMs, () => call.cancel.cancel(new Error("enough")));
          for (let step = 0; step < 60; step++) await clock.advanceAsync(50);
          const result = await ended;
          expect([ends, clock.pendingTimers, call.cancel.listening, running]).toEqual([1, 0, 0, 0]);
          for (const reply of replies) expect(reply.discarded).toBe(reply !== result);
        },
      ),
      { numRuns: 300 },
    );
  });
});
