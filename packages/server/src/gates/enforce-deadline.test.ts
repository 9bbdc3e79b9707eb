import type { IncomingHttpHeaders } from "node:http";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import type { Visit } from "../gate.ts";
import { enforceDeadline, parseTimeoutMs } from "./enforce-deadline.ts";

const visitWith = (headers: IncomingHttpHeaders, trusted = true): Visit =>
  // The gate reads these fields and no others.
  ({ trusted, request: { headers }, startedAtMs: 1_000, deadlineMs: undefined }) as unknown as Visit;

describe("the deadline gate", () => {
  test("takes over the earlier of both headers, counted from the visit's start", () => {
    const visit = visitWith({ "x-envoy-expected-rq-timeout-ms": "500", "grpc-timeout": "200m" });
    expect(enforceDeadline(new FakeClock(1_010))(visit)).toBeUndefined();
    expect(visit.deadlineMs).toBe(1_200);
  });

  test("refuses a visit whose time was spent while it waited", () => {
    const visit = visitWith({ "x-envoy-expected-rq-timeout-ms": "500" });
    expect(enforceDeadline(new FakeClock(1_500))(visit)).toMatchObject({ code: "VISIT_DEADLINE_SPENT" });
  });

  test("does not read what strangers say", () => {
    const visit = visitWith({ "x-envoy-expected-rq-timeout-ms": "nonsense" }, false);
    expect(enforceDeadline(new FakeClock(9_999))(visit)).toBeUndefined();
    expect(visit.deadlineMs).toBeUndefined();
  });
});

test.each([
  ["0", 0],
  ["15000", 15_000],
  ["99999999999", 2_147_483_647],
  ["", undefined],
  ["-1", undefined],
  ["1e3", undefined],
  [" 1", undefined],
])("parseTimeoutMs(%j) is %j", (text, expected) => {
  expect(parseTimeoutMs(text)).toBe(expected);
});
