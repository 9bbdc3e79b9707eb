import { type EffectiveCircuitBreaker, effectiveCircuitBreaker, MeshError, type MeshErrorCode } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Reply } from "../reply.ts";
import type { Attempt, Call } from "../send.ts";
import { type CircuitState, createCircuit, PROBE_LIMIT_MS } from "./circuit.ts";

// Nothing turned it off.
const policy = effectiveCircuitBreaker({ kind: "Service", name: "reviews" })!;

// The circuit asks a call for its deadline, an attempt for its progress and a reply for its status.
const callWith = (deadlineMs: number): Call => ({ deadlineMs }) as Call;
const attemptThat = (progress: Attempt["progress"]): Attempt => ({ progress }) as Attempt;
const replyWith = (status: number): Reply => ({ status }) as Reply;

let clock: FakeClock;

beforeEach(() => {
  vi.useFakeTimers();
  clock = new FakeClock();
});

afterEach(() => {
  vi.useRealTimers();
});

/** opossum's timers are the process's own; they move with the clock. */
const advance = async (byMs: number): Promise<void> => {
  clock.advance(byMs);
  await vi.advanceTimersByTimeAsync(byMs);
};

const setUp = (changes: Partial<typeof policy> = {}) => {
  const states: CircuitState[] = [];
  const circuit = createCircuit({
    name: "default/reviews",
    policy: { ...policy, ...changes },
    clock,
    onChange: (state) => states.push(state),
  });
  const call = callWith(Number.POSITIVE_INFINITY);
  const answer = (status: number, progress: Attempt["progress"] = "answered") =>
    circuit.run(call, attemptThat(progress), async () => replyWith(status));
  const fail = (error: unknown) =>
    circuit
      .run(call, attemptThat("sent"), async () => {
        throw error;
      })
      .catch((caught: unknown) => caught);
  const many = async (count: number, once: () => Promise<unknown>) => {
    for (let done = 0; done < count; done++) await once();
  };
  const trip = () => many(20, () => answer(503));
  return { circuit, states, answer, fail, many, trip, call };
};

const mesh = (code: MeshErrorCode) => new MeshError(code, { message: "test" });

describe("a closed circuit", () => {
  test("hands through replies, also those that count as failures", async () => {
    const { answer } = setUp();
    expect((await answer(200)).status).toBe(200);
    expect((await answer(503)).status).toBe(503);
  });

  test("stays closed below the minimum volume, whatever fails", async () => {
    const { circuit, many, answer } = setUp();
    await many(19, () => answer(503));
    expect(circuit.state).toBe("closed");
  });

  test("opens when the share of failures reaches the policy's", async () => {
    const { circuit, many, answer, states } = setUp();
    await many(10, () => answer(200));
    await many(9, () => answer(503));
    expect(circuit.state).toBe("closed");
    await answer(503);
    expect(circuit.state).toBe("open");
    expect(states).toEqual(["open"]);
  });

  test("can be told to open only when all fail", async () => {
    const { circuit, trip } = setUp({ errorPercent: 100 });
    await trip();
    expect(circuit.state).toBe("open");
  });

  test.each([502, 503, 504])("counts %i as a failure", async (status) => {
    const { circuit, many, answer } = setUp();
    await many(20, () => answer(status));
    expect(circuit.state).toBe("open");
  });

  test.each([200, 301, 404, 429, 500, 501])("counts %i as a success", async (status) => {
    const { circuit, many, answer } = setUp();
    await many(40, () => answer(status));
    expect(circuit.state).toBe("closed");
  });

  test.each([
    "CONNECT_FAILED",
    "CONNECTION_TERMINATED",
    "IDENTITY_MISMATCH",
    "REPLY_BROKEN",
    "ATTEMPT_TIMEOUT",
    "DEADLINE_EXCEEDED",
  ] as const)("counts %s as a failure and throws it as it is", async (code) => {
    const { circuit, many, fail } = setUp();
    const error = mesh(code);
    expect(await fail(error)).toBe(error);
    await many(19, () => fail(error));
    expect(circuit.state).toBe("open");
  });

  test.each([
    ["an abort", new DOMException("stop", "AbortError")],
    ["OVERFLOW_REQUESTS", mesh("OVERFLOW_REQUESTS")],
    ["NO_HEALTHY_ENDPOINT", mesh("NO_HEALTHY_ENDPOINT")],
    ["another circuit's refusal", mesh("CIRCUIT_OPEN")],
    ["a spent deadline", mesh("DEADLINE_SPENT")],
    ["an error of the caller's body", new Error("disk")],
  ])("does not count %s", async (_name, error) => {
    const { circuit, many, fail } = setUp();
    await many(40, () => fail(error));
    expect(circuit.state).toBe("closed");
  });

  test("does not count 503s of a gate that refused before any handler", async () => {
    const { circuit, many, answer } = setUp();
    await many(40, () => answer(503, "refused"));
    expect(circuit.state).toBe("closed");
  });

  test("forgets failures that left the window", async () => {
    const { circuit, many, answer } = setUp();
    await many(19, () => answer(503));
    await advance(policy.windowMs);
    await answer(503);
    expect(circuit.state).toBe("closed");
    expect(circuit.describe()).toMatchObject({ calls: 1, failures: 1 });
  });

  test("keeps no timers and no latencies, however many calls it sees", async () => {
    const { many, answer } = setUp();
    await many(500, () => answer(200));
    expect(vi.getTimerCount() + clock.pendingTimers).toBe(0);
  });
});

describe("an open circuit", () => {
  test("refuses without sending and says when it is probed", async () => {
    const { circuit, trip, call } = setUp();
    await trip();
    const send = vi.fn();
    const probeAt = new Date(clock.wallNow() + policy.openForMs).toISOString();
    await expect(circuit.run(call, attemptThat("not-sent"), send)).rejects.toMatchObject({
      code: "CIRCUIT_OPEN",
      message: expect.stringContaining(probeAt),
    });
    expect(send).not.toHaveBeenCalled();
    expect(circuit.describe()).toMatchObject({ state: "open", rejected: 1, openings: 1, openedAtMs: clock.wallNow() });
  });

  test("lets one probe pass after its time and closes when that succeeds", async () => {
    const { circuit, trip, answer, states } = setUp();
    await trip();
    await advance(policy.openForMs);
    expect(circuit.state).toBe("half-open");
    expect((await answer(200)).status).toBe(200);
    expect(states).toEqual(["open", "half-open", "closed"]);
    expect(circuit.describe()).toMatchObject({ openedAtMs: undefined, probeAtMs: undefined });
  });

  test("opens again when the probe fails, for the whole time", async () => {
    const { circuit, trip, answer } = setUp();
    await trip();
    await advance(policy.openForMs);
    await answer(503);
    expect(circuit.state).toBe("open");
    await advance(policy.openForMs - 1);
    expect(circuit.state).toBe("open");
    await advance(1);
    expect(circuit.state).toBe("half-open");
  });

  test("refuses everybody else while the probe is out", async () => {
    const { circuit, trip, call, answer } = setUp();
    await trip();
    await advance(policy.openForMs);
    const probe = Promise.withResolvers<Reply>();
    const probing = circuit.run(call, attemptThat("sent"), () => probe.promise);
    await expect(answer(200)).rejects.toMatchObject({ code: "CIRCUIT_OPEN" });
    probe.resolve(replyWith(200));
    await probing;
    expect(circuit.state).toBe("closed");
  });

  test("is not locked by a probe that never settles: the call's deadline counts it as failed", async () => {
    const { circuit, trip, answer } = setUp();
    await trip();
    await advance(policy.openForMs);
    void circuit.run(callWith(clock.now() + 2_000), attemptThat("sent"), () => new Promise<Reply>(() => undefined));
    await advance(2_000);
    expect(circuit.state).toBe("open");
    await advance(policy.openForMs);
    await answer(200);
    expect(circuit.state).toBe("closed");
  });

  test("does not wait for ever for a probe without a deadline", async () => {
    const { circuit, trip, call } = setUp();
    await trip();
    await advance(policy.openForMs);
    void circuit.run(call, attemptThat("sent"), () => new Promise<Reply>(() => undefined));
    clock.advance(PROBE_LIMIT_MS);
    expect(circuit.state).toBe("open");
  });

  test.each([
    ["was aborted", (circuit: ReturnType<typeof setUp>) => circuit.fail(new DOMException("stop", "AbortError"))],
    ["was refused by a gate", (circuit: ReturnType<typeof setUp>) => circuit.answer(503, "refused")],
  ])("tries the next call as probe when the probe %s", async (_name, probe) => {
    const set = setUp();
    await set.trip();
    await advance(policy.openForMs);
    await probe(set);
    expect(set.circuit.state).toBe("half-open");
    await set.answer(200);
    expect(set.circuit.state).toBe("closed");
  });

  test("ignores results of calls that began before it opened", async () => {
    const { circuit, many, answer, call } = setUp();
    const late = [Promise.withResolvers<Reply>(), Promise.withResolvers<Reply>()] as const;
    const calls = late.map(({ promise }) => circuit.run(call, attemptThat("sent"), () => promise));
    await many(18, () => answer(503));
    late[0].resolve(replyWith(200));
    await calls[0];
    expect(circuit.state).toBe("open");
    await advance(policy.openForMs);
    late[1].resolve(replyWith(503));
    await calls[1];
    expect(circuit.state).toBe("half-open");
  });
});

describe("a circuit with several probes", () => {
  const halfOpen = async (changes: Partial<EffectiveCircuitBreaker> = {}) => {
    const set = setUp({ halfOpenProbes: 3, ...changes });
    await set.trip();
    await advance(policy.openForMs);
    return set;
  };
  const probesOf = ({ circuit, call }: ReturnType<typeof setUp>, count: number) =>
    Array.from({ length: count }, () => {
      const { promise, resolve, reject } = Promise.withResolvers<Reply>();
      return { done: circuit.run(call, attemptThat("sent"), () => promise), resolve, reject };
    });

  test("lets so many pass at a time, and refuses the next", async () => {
    const set = await halfOpen();
    const probes = probesOf(set, 3);
    await expect(set.answer(200)).rejects.toMatchObject({ code: "CIRCUIT_OPEN" });
    for (const { resolve } of probes) resolve(replyWith(200));
    await Promise.all(probes.map(({ done }) => done));
    expect(set.circuit.state).toBe("closed");
  });

  test("closes at so many successes and not before", async () => {
    const { circuit, many, answer } = await halfOpen();
    await many(2, () => answer(200));
    expect(circuit.state).toBe("half-open");
    await answer(200);
    expect(circuit.state).toBe("closed");
  });

  test("opens again at the first failure; what the other probes come to no longer counts", async () => {
    const set = await halfOpen();
    const [failing, slow, slower] = probesOf(set, 3);
    failing?.resolve(replyWith(503));
    await failing?.done;
    expect(set.circuit.state).toBe("open");
    slow?.resolve(replyWith(200));
    await slow?.done;
    expect(set.circuit.state).toBe("open");
    await advance(policy.openForMs);
    expect(set.circuit.state).toBe("half-open");
    slower?.resolve(replyWith(503));
    await slower?.done;
    expect(set.circuit.state).toBe("half-open");
    await set.many(3, () => set.answer(200));
    expect(set.circuit.state).toBe("closed");
  });

  test("replaces a probe that learned nothing by the next call", async () => {
    const { circuit, many, answer, fail } = await halfOpen();
    await many(2, () => answer(200));
    await fail(new DOMException("stop", "AbortError"));
    expect(circuit.state).toBe("half-open");
    await answer(200);
    expect(circuit.state).toBe("closed");
  });

  test("counts each probe that hangs past its deadline as failed, and keeps no watchdog", async () => {
    const { circuit } = await halfOpen();
    for (let probe = 0; probe < 3; probe++) {
      void circuit.run(callWith(clock.now() + 2_000), attemptThat("sent"), () => new Promise<Reply>(() => undefined));
    }
    await advance(2_000);
    expect(circuit.describe()).toMatchObject({ state: "open", openings: 2 });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("a circuit that counts failures in a row", () => {
  test("opens at so many, however few calls there are", async () => {
    const { circuit, many, answer } = setUp({ consecutiveFailures: 5 });
    await many(4, () => answer(503));
    expect(circuit.state).toBe("closed");
    expect(circuit.describe()).toMatchObject({ inARow: 4 });
    await answer(503);
    expect(circuit.describe()).toMatchObject({ state: "open", inARow: 0, openings: 1 });
  });

  test("begins anew at each success, and not at what says nothing", async () => {
    const { circuit, many, answer, fail } = setUp({ consecutiveFailures: 5 });
    await many(4, () => answer(503));
    await answer(200);
    await many(4, () => answer(503));
    expect(circuit.state).toBe("closed");
    await fail(new DOMException("stop", "AbortError"));
    await answer(503, "refused");
    await answer(503);
    expect(circuit.state).toBe("open");
  });

  test("does so alone where the rate is turned off", async () => {
    const { circuit, answer, many } = setUp({ errorPercent: undefined, consecutiveFailures: 5 });
    for (let round = 0; round < 50; round++) {
      await many(4, () => answer(503));
      await answer(200);
    }
    expect(circuit.state).toBe("closed");
    await many(5, () => answer(503));
    expect(circuit.state).toBe("open");
  });

  test("does so beside the rate, which opens it without a row", async () => {
    const { circuit, answer } = setUp({ consecutiveFailures: 5 });
    for (let calls = 0; calls < 10; calls++) {
      await answer(200);
      await answer(503);
    }
    expect(circuit.describe()).toMatchObject({
      state: "open",
      opensAt: "50 % of at least 20 calls in 10s, or 5 failures in a row",
    });
  });

  test("takes no failure of a call that began before it opened into the next row", async () => {
    const { circuit, many, answer, call } = setUp({ consecutiveFailures: 5 });
    const late = Promise.withResolvers<Reply>();
    const running = circuit.run(call, attemptThat("sent"), () => late.promise);
    await many(5, () => answer(503));
    await advance(policy.openForMs);
    await answer(200);
    await many(4, () => answer(503));
    late.resolve(replyWith(503));
    await running;
    expect(circuit.state).toBe("closed");
  });
});

test("failed probes double the time that a circuit stays open, up to the longest, until it closes", async () => {
  const { circuit, trip, answer } = setUp({ maxOpenForMs: 15_000 });
  await trip();
  for (const openForMs of [5_000, 10_000, 15_000, 15_000]) {
    await advance(openForMs - 1);
    expect(circuit.state).toBe("open");
    await advance(1);
    expect(circuit.state).toBe("half-open");
    await answer(503);
  }
  await advance(15_000);
  await answer(200);
  await trip();
  expect(circuit.describe()).toMatchObject({ state: "open", probeAtMs: clock.wallNow() + 5_000 });
});

describe("what a circuit counts is the policy's", () => {
  test("5xx counts handlers' errors as well", async () => {
    const { circuit, many, answer } = setUp({ failures: ["5xx"] });
    await many(20, () => answer(500));
    expect(circuit.state).toBe("open");
  });

  test("statuses are counted beside the kinds of failure", async () => {
    const { circuit, many, answer } = setUp({ failures: [], statuses: [429] });
    await many(40, () => answer(503));
    expect(circuit.state).toBe("closed");
    await many(40, () => answer(429));
    expect(circuit.state).toBe("open");
  });

  test.each([
    ["connect-failure", "CONNECT_FAILED"],
    ["connect-failure", "IDENTITY_MISMATCH"],
    ["reset", "CONNECTION_TERMINATED"],
    ["reset", "REPLY_BROKEN"],
    ["attempt-timeout", "ATTEMPT_TIMEOUT"],
    ["timeout", "DEADLINE_EXCEEDED"],
  ] as const)("%s means %s, and nothing of it counts where it is left out", async (failure, code) => {
    const counting = setUp({ failures: [failure] });
    await counting.many(20, () => counting.fail(mesh(code)));
    expect(counting.circuit.state).toBe("open");
    const others = setUp({ failures: policy.failures.filter((each) => each !== failure) });
    await others.many(40, () => others.fail(mesh(code)));
    expect(others.circuit.state).toBe("closed");
  });
});

test("two circuits share nothing", async () => {
  const [one, other] = [setUp(), setUp()];
  await one.trip();
  await advance(policy.openForMs);
  await one.answer(503);
  expect(one.circuit.state).toBe("open");
  expect(other.circuit.describe()).toMatchObject({ state: "closed", calls: 0, openings: 0 });
  expect((await other.answer(200)).status).toBe(200);
});

test("a call that is under way when its circuit is replaced comes to its own end", async () => {
  const { circuit, call } = setUp();
  const late = [Promise.withResolvers<Reply>(), Promise.withResolvers<Reply>()] as const;
  const running = late.map(({ promise }) => circuit.run(call, attemptThat("sent"), () => promise));
  circuit.close();
  late[0].resolve(replyWith(200));
  late[1].reject(mesh("CONNECT_FAILED"));
  expect((await running[0])?.status).toBe(200);
  await expect(running[1]).rejects.toMatchObject({ code: "CONNECT_FAILED" });
  expect(vi.getTimerCount() + clock.pendingTimers).toBe(0);
});

test("a closed-down circuit has no timers left and lets calls pass", async () => {
  const { circuit, trip, answer } = setUp();
  await trip();
  circuit.close();
  expect(vi.getTimerCount() + clock.pendingTimers).toBe(0);
  expect((await answer(503)).status).toBe(503);
});
