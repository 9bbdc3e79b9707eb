import { MeshError, type MeshErrorCode } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Reply } from "../reply.ts";
import type { Attempt, Call } from "../send.ts";
import { type CircuitState, createCircuit, PROBE_LIMIT_MS } from "./circuit.ts";

const policy = { errorPercent: 50, minimumVolume: 20, windowMs: 10_000, openForMs: 5_000 };

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

test("a closed-down circuit has no timers left and lets calls pass", async () => {
  const { circuit, trip, answer } = setUp();
  await trip();
  circuit.close();
  expect(vi.getTimerCount() + clock.pendingTimers).toBe(0);
  expect((await answer(503)).status).toBe(503);
});
