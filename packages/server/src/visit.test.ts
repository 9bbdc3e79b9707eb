import type { IncomingMessage } from "node:http";
import { isMeshError } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { strangerConnection } from "./connection.ts";
import { OpenVisit } from "./visit.ts";

const open = (clock: FakeClock): OpenVisit =>
  new OpenVisit(
    {
      // A visit reads the method and one header.
      request: { method: "GET", headers: {} } as IncomingMessage,
      path: "/",
      startedAtMs: clock.now(),
      listener: { kind: "mesh", draining: false, closed: false },
      mtls: "strict",
      connection: strangerConnection({ remoteAddress: undefined }, "plaintext"),
    },
    clock,
  );

describe("a visit's signal", () => {
  test("costs no timer until somebody asks for it, and none after the end", () => {
    const clock = new FakeClock();
    const visit = open(clock);
    visit.deadlineMs = 500;
    expect(clock.pendingTimers).toBe(0);
    expect(visit.signal.aborted).toBe(false);
    expect(clock.pendingTimers).toBe(1);
    visit.end("answered");
    expect(clock.pendingTimers).toBe(0);
    expect(visit.signal.aborted).toBe(false);
  });

  test("aborts when the deadline passes", () => {
    const clock = new FakeClock();
    const visit = open(clock);
    visit.deadlineMs = 500;
    const { signal } = visit;
    clock.advance(499);
    expect(signal.aborted).toBe(false);
    clock.advance(1);
    expect(isMeshError(signal.reason, "DEADLINE_SPENT")).toBe(true);
  });

  test("does not abort a stream whose headers went out before the deadline, nor a call that it makes", () => {
    const clock = new FakeClock();
    const visit = open(clock);
    visit.deadlineMs = 500;
    const { signal } = visit;
    visit.answerBegins(200);
    clock.advance(60_000);
    expect([signal.aborted, visit.deadlineMs, clock.pendingTimers]).toEqual([false, undefined, 0]);
    visit.end("caller-gone");
    expect(signal.aborted).toBe(true);
  });

  test("is aborted already for who asks after the caller left", () => {
    const visit = open(new FakeClock());
    visit.end("caller-gone");
    expect(visit.signal.reason).toMatchObject({ name: "AbortError" });
  });
});

test("a visit is a retry by the word of a peer, not of a stranger", () => {
  const visit = open(new FakeClock());
  visit.request.headers["x-envoy-attempt-count"] = "2";
  expect(visit.isRetry).toBe(false);
  visit.trusted = true;
  expect(visit.isRetry).toBe(true);
  visit.request.headers["tulle-first-sent"] = "1";
  expect(visit.isRetry).toBe(false);
  delete visit.request.headers["tulle-first-sent"];
  visit.request.headers["x-envoy-attempt-count"] = "1";
  expect(visit.isRetry).toBe(false);
});
