import { isMeshError } from "@tulle/policy";
import { FakeClock, seededRandom } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import {
  callOf,
  defaultRetry,
  retryCounters,
  retryRules,
  ScriptedReply,
  type Step,
  script,
} from "../../test/scripted.ts";
import { headerOf } from "../call.ts";
import { LatencyEstimate } from "../retry/latency-estimate.ts";
import { prepareBody, REPLAY_BOUND_BYTES } from "../retry/replay-body.ts";
import { RetryBudget } from "../retry/retry-budget.ts";
import type { Attempt, Call } from "../send.ts";
import { type RetryKit, retry } from "./retry.ts";

const setup = (steps: Step[], over: Partial<RetryKit> = {}) => {
  const clock = new FakeClock();
  const send = script(...steps);
  const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 10, ttlMs: 10_000 }, 0);
  const counters = retryCounters();
  const latency = new LatencyEstimate(0);
  const kit: RetryKit = {
    policy: defaultRetry,
    fallback: defaultRetry,
    budget,
    latency,
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
  return { clock, send, counters, budget, latency, layer, run, kit };
};

const kitOf = ({ kit }: ReturnType<typeof setup>): RetryKit => kit;

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
    const { run, counters } = setup([503], { budget });
    const call = callOf();
    expect((await run(call)).status).toBe(503);
    expect([counters.retriesOverBudget, call.noRetry]).toEqual([1, "OVERFLOW_RETRIES"]);
  });

  test("a body in memory beyond the bound is not sent again, and is counted", async () => {
    const { run, counters } = setup([503]);
    expect((await run(callOf({ method: "PUT", replayable: false }))).status).toBe(503);
    expect(counters.retriesWithoutBody).toBe(1);
  });

  const uploadOf = (bytes: number) => {
    const counters = { bodiesBeyondReplay: 0 };
    let chunks = 0;
    const source = (async function* () {
      for (; chunks < 4; chunks++) yield Buffer.alloc(bytes / 4, "x");
    })();
    const { body, replayable } = prepareBody(source as never, counters);
    return { call: callOf({ method: "PUT", body, replayable }), counters };
  };

  /** Reads the body of each attempt to its end before the next step is played. */
  const reading = (steps: Step[], received: number[]) => {
    const { send, ...rest } = setup([]);
    const played = script(...steps);
    const next: typeof send = Object.assign(
      async (...[call, attempt]: Parameters<typeof send>) => {
        let bytes = 0;
        for await (const chunk of call.body as unknown as AsyncIterable<Buffer>) bytes += chunk.length;
        received.push(bytes);
        return played(call, attempt);
      },
      { sent: played.sent },
    );
    return { ...rest, next };
  };

  test("a stream that turns out to be small is sent again, whole", async () => {
    const received: number[] = [];
    const { next, clock, counters } = reading([terminated, 503, 200], received);
    const { call } = uploadOf(REPLAY_BOUND_BYTES);
    const kit = setup([]);
    const ended = retry({ ...kitOf(kit), clock, counters })(next)(call);
    await clock.advanceAsync(1_000);
    expect((await ended).status).toBe(200);
    expect(received).toEqual([REPLAY_BOUND_BYTES, REPLAY_BOUND_BYTES, REPLAY_BOUND_BYTES]);
  });

  test("a stream beyond the bound is sent once, and counted", async () => {
    const received: number[] = [];
    const { next, clock, counters } = reading([503], received);
    const { call, counters: bodies } = uploadOf(REPLAY_BOUND_BYTES + 4);
    const kit = setup([]);
    const ended = retry({ ...kitOf(kit), clock, counters })(next)(call);
    await clock.advanceAsync(1_000);
    expect((await ended).status).toBe(503);
    expect(received).toEqual([REPLAY_BOUND_BYTES + 4]);
    expect([counters.retriesWithoutBody, bodies.bodiesBeyondReplay, call.noRetry]).toEqual([1, 1, "body-spent"]);
  });

  test("a POST with an Idempotency-Key is repeated as if it were idempotent", async () => {
    const { run } = setup([503, 200]);
    const call = callOf({ method: "POST", headers: ["Idempotency-Key", "8e03978e"] });
    expect((await run(call)).status).toBe(200);
  });

  test("calls without one of the headers that the policy wants are not repeated", async () => {
    const policy = retryRules({ retriableRequestHeaders: { "x-retry": { present: true } } });
    const without = setup([unsent], { policy });
    expect((await without.run()).code).toBe("CONNECT_FAILED");
    const { run } = setup([unsent, 200], { policy });
    expect((await run(callOf({ headers: ["X-Retry", "1"] }))).status).toBe(200);
  });

  test("a reply of 200 is repeated when its headers carry a gRPC status that the policy names", async () => {
    const policy = retryRules({ on: ["unavailable"], nonIdempotent: true });
    const { run, send } = setup([new ScriptedReply(200, { "grpc-status": "14" }), 200], { policy });
    expect((await run(callOf({ method: "POST" }))).status).toBe(200);
    expect(send.sent).toHaveLength(2);
  });

  test("gRPC's pushback is waited for to the millisecond, and begins the back-off anew", async () => {
    const pushback = new ScriptedReply(503, { "grpc-retry-pushback-ms": "700" });
    const { layer, clock, send } = setup([pushback, 503, 200], { random: () => 0.999 });
    const ended = layer(callOf());
    await clock.advanceAsync(699);
    expect(send.sent).toHaveLength(1);
    await clock.advanceAsync(1);
    expect(send.sent).toHaveLength(2);
    await clock.advanceAsync(25);
    expect((await ended).status).toBe(200);
  });

  test("a negative pushback means no retry", async () => {
    const { run, send } = setup([new ScriptedReply(503, { "grpc-retry-pushback-ms": "-1" })]);
    const call = callOf();
    expect((await run(call)).status).toBe(503);
    expect([send.sent.length, call.noRetry]).toEqual([1, "server-asked"]);
  });

  test("a retry that would take longer than is left, as half of all answers do, is not begun", async () => {
    const { run, send, latency, counters } = setup([503, 200, 503, 200]);
    for (let answer = 0; answer < 50; answer++) latency.record(300, 0);
    const late = callOf();
    late.deadlineMs = 250;
    expect((await run(late)).status).toBe(503);
    expect([send.sent.length, late.noRetry, counters.retriesOutOfTime]).toEqual([1, "no-time", 1]);
  });

  describe("over several hops", () => {
    const visit = (isRetry: boolean) => {
      let told = 0;
      return {
        inherited: { deadlineMs: undefined, context: undefined, isRetry, noteRetriedInVain: () => void told++ },
        told: () => told,
      };
    };

    test("a failure that a hop further on has retried in vain is not repeated, and is passed on", async () => {
      const { run, counters } = setup([{ retriedBelow: 503 }]);
      const { inherited, told } = visit(false);
      const call = callOf({ inherited });
      expect((await run(call)).status).toBe(503);
      expect([call.noRetry, counters.retriesLeftToHops, told()]).toEqual(["retried-below", 1, 1]);
    });

    test("a visit that is a retry makes calls that are not repeated, but for those that were provably not sent", async () => {
      const { inherited, told } = visit(true);
      const failing = setup([503]);
      expect((await failing.run(callOf({ inherited }))).status).toBe(503);
      expect([failing.counters.retriesLeftToHops, told()]).toEqual([1, 0]);
      expect((await setup([unsent, 200]).run(callOf({ inherited }))).status).toBe(200);
    });

    test("a visit hears when a call was retried in vain or its retry refused, and not when it succeeded", async () => {
      const vain = visit(false);
      await setup([503, 503, 503]).run(callOf({ inherited: vain.inherited }));
      const refused = visit(false);
      const budget = new RetryBudget({ ratio: 0, minPerSecond: 0, ttlMs: 10_000 }, 0);
      await setup([503], { budget }).run(callOf({ inherited: refused.inherited }));
      const helped = visit(false);
      await setup([503, 200]).run(callOf({ inherited: helped.inherited }));
      const single = visit(false);
      await setup([503]).run(callOf({ method: "POST", inherited: single.inherited }));
      expect([vain.told(), refused.told(), helped.told(), single.told()]).toEqual([1, 1, 0, 0]);
    });

    test("the next hop is told when no attempt before can have reached it", async () => {
      const firstSent = (attempt?: Attempt) => headerOf(attempt?.headers ?? [], "tulle-first-sent");
      const refused = { refused: 503 } as const;
      const { run, send } = setup([unsent, refused, 503, 200], { policy: retryRules({ retries: 3 }) });
      await run();
      expect(send.sent.map(firstSent)).toEqual([undefined, "1", "1", undefined]);
    });

    test("a policy may ask for retries on top of retries", async () => {
      const { inherited } = visit(true);
      const { run } = setup([{ retriedBelow: 503 }, 200], { policy: retryRules({ stacked: true }) });
      expect((await run(callOf({ inherited }))).status).toBe(200);
    });
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
