import { type AdaptiveThrottling, effectiveAdaptiveThrottling, MeshError, type MeshErrorCode } from "@tulle/policy";
import { FakeClock, seededRandom } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import type { Reply } from "../reply.ts";
import type { Attempt } from "../send.ts";
import { AdaptiveThrottle } from "./adaptive-throttle.ts";

const policyOf = (adaptiveThrottling: AdaptiveThrottling = {}) =>
  effectiveAdaptiveThrottling({ kind: "Service", name: "reviews", adaptiveThrottling })!;

// A throttle asks a reply for its status and its grpc-status, an attempt for its progress.
const replyWith = (status: number, headers: Reply["headers"] = {}): Reply => ({ status, headers }) as Reply;
const attemptThat = (over: Partial<Attempt> = {}): Attempt =>
  ({ progress: "answered", isolated: false, ...over }) as Attempt;

const setUp = (policy?: AdaptiveThrottling) => {
  const clock = new FakeClock();
  const throttle = new AdaptiveThrottle(policyOf(policy), seededRandom(3), clock.now());
  /** Offers 100 calls per second to a backend that takes so many of them; tells how many it got per second at the end. */
  const offer = (seconds: number, capacity: number): number => {
    let sent = 0;
    for (let second = 0; second < seconds; second++) {
      sent = 0;
      for (let call = 0; call < 100; call++) {
        if (!throttle.refuses(clock.now())) {
          sent++;
          throttle.answered(replyWith(sent <= capacity ? 200 : 503), attemptThat(), clock.now());
        }
      }
      clock.advance(1_000);
    }
    return sent;
  };
  const describe = () => throttle.describe(clock.now());
  return { clock, throttle, offer, describe };
};

test("a destination that accepts all calls gets all calls", () => {
  const { offer, describe } = setUp();
  expect(offer(300, 100)).toBe(100);
  expect(describe()).toMatchObject({ rejectionPercent: 0, throttled: 0 });
});

test("an overloaded destination gets about K times what it takes", () => {
  const { offer } = setUp();
  const sent = Array.from({ length: 60 }, () => offer(10, 20)).slice(-30);
  const mean = sent.reduce((sum, each) => sum + each, 0) / sent.length;
  expect(mean).toBeGreaterThan(30);
  expect(mean).toBeLessThan(50);
});

test("a destination that takes nothing still gets what the bound leaves", () => {
  const { offer, describe } = setUp({ maxRejectionPercent: 80 });
  expect(offer(300, 0)).toBeLessThan(40);
  expect(describe().rejectionPercent).toBe(80);
});

test("throttling fades within some windows of the destination's recovery, and does not latch", () => {
  const { offer, describe } = setUp();
  offer(600, 0);
  expect(describe().rejectionPercent).toBe(80);
  offer(360, 100);
  expect(describe().rejectionPercent).toBe(0);
  expect(offer(1, 100)).toBe(100);
});

test("without a bound, what it takes to recover still gets through", () => {
  const { offer, describe } = setUp({ maxRejectionPercent: 100 });
  offer(600, 10);
  expect(describe().rejectionPercent).toBeGreaterThan(70);
  offer(900, 100);
  expect(describe().rejectionPercent).toBe(0);
});

test("a quiet client is never throttled", () => {
  const { clock, throttle } = setUp();
  for (let call = 0; call < 500; call++) {
    expect(throttle.refuses(clock.now())).toBe(false);
    throttle.answered(replyWith(503), attemptThat(), clock.now());
    clock.advance(250);
  }
});

describe("what counts", () => {
  const countsOf = (note: (throttle: AdaptiveThrottle, nowMs: number) => void, policy?: AdaptiveThrottling) => {
    const { clock, throttle, describe } = setUp(policy);
    note(throttle, clock.now());
    const { requests, accepts } = describe();
    return { requests, accepts };
  };
  const accepted = { requests: 1, accepts: 1 };
  const rejected = { requests: 1, accepts: 0 };
  const nothing = { requests: 0, accepts: 0 };

  test.each([
    [200, accepted],
    [404, accepted],
    [429, rejected],
    [500, rejected],
    [503, rejected],
  ])("an answer of %i", (status, counts) => {
    expect(countsOf((throttle, nowMs) => throttle.answered(replyWith(status), attemptThat(), nowMs))).toEqual(counts);
  });

  test.each([
    ["0", accepted],
    ["5", accepted],
    ["8", rejected],
    ["14", rejected],
  ])("a grpc-status of %s", (status, counts) => {
    const reply = replyWith(200, { "grpc-status": status });
    expect(countsOf((throttle, nowMs) => throttle.answered(reply, attemptThat(), nowMs))).toEqual(counts);
  });

  test("the policy says which statuses are rejections", () => {
    const policy = { rejections: [429] };
    const answered = (status: number) =>
      countsOf((throttle, nowMs) => throttle.answered(replyWith(status), attemptThat(), nowMs), policy);
    expect(answered(503)).toEqual(accepted);
    expect(answered(429)).toEqual(rejected);
  });

  test.each<[MeshErrorCode, object]>([
    ["CONNECT_FAILED", rejected],
    ["CONNECTION_TERMINATED", rejected],
    ["REPLY_BROKEN", rejected],
    ["ATTEMPT_TIMEOUT", rejected],
    ["DEADLINE_EXCEEDED", rejected],
    ["NO_HEALTHY_ENDPOINT", nothing],
    ["OVERFLOW_PENDING", nothing],
    ["CIRCUIT_OPEN", nothing],
  ])("a failure with %s", (code, counts) => {
    const error = new MeshError(code, { message: "failed" });
    expect(countsOf((throttle, nowMs) => throttle.failed(error, attemptThat(), nowMs))).toEqual(counts);
  });

  test("neither a caller's abort, nor a gate's refusal, nor an endpoint that alone cannot be reached", () => {
    const lost = new MeshError("CONNECT_FAILED", { message: "failed" });
    expect(
      countsOf((throttle, nowMs) => {
        throttle.failed(new DOMException("stop", "AbortError"), attemptThat(), nowMs);
        throttle.answered(replyWith(503), attemptThat({ progress: "refused" }), nowMs);
        throttle.failed(lost, attemptThat({ isolated: true }), nowMs);
      }),
    ).toEqual(nothing);
  });

  test("calls under way say nothing: a burst of first calls is no reason to refuse the next", () => {
    const { clock, throttle } = setUp({ minimumRequestsPerSecond: 0 });
    for (let call = 0; call < 1_000; call++) expect(throttle.refuses(clock.now())).toBe(false);
  });
});

test("a changed policy keeps what was counted, unless it is counted over another time", () => {
  const { clock, throttle, offer, describe } = setUp();
  offer(120, 0);
  throttle.reconfigure(policyOf({ maxRejectionPercent: 50 }), clock.now());
  expect(describe().rejectionPercent).toBe(50);
  throttle.reconfigure(policyOf({ window: "1m" }), clock.now());
  expect(describe()).toMatchObject({ rejectionPercent: 0, requests: 0 });
});
