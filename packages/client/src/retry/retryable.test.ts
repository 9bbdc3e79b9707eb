import type { RetryPolicy } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { retryRules } from "../../test/scripted.ts";
import { type AttemptOutcome, type Repeatable, retryable } from "./retryable.ts";

const outcome = (over: Partial<AttemptOutcome>): AttemptOutcome => ({
  progress: "answered",
  reply: undefined,
  code: undefined,
  retriedBelow: false,
  ...over,
});
const sent = (code: string) => outcome({ progress: "sent", code });
const unsent = (code: string) => outcome({ progress: "not-sent", code });
const status = (code: number, headers: Record<string, string> = {}) => outcome({ reply: { status: code, headers } });
const refused = outcome({ progress: "refused", reply: { status: 503, headers: {} } });
const call = (over: Partial<Repeatable> = {}): Repeatable => ({
  method: "GET",
  headers: [],
  body: "kept",
  withinRetry: false,
  ...over,
});

describe("retryable", () => {
  test.each([
    ["GET", {}, status(503), "gateway-error"],
    ["GET", {}, status(502), "gateway-error"],
    ["GET", {}, status(500), "no-condition"],
    ["GET", { on: ["5xx"] }, status(500), "5xx"],
    ["GET", { on: ["5xx"] }, status(503), "5xx"],
    ["GET", {}, status(404), "no-condition"],
    ["GET", { on: ["retriable-4xx"] }, status(409), "retriable-4xx"],
    ["GET", { on: ["retriable-4xx"] }, status(404), "no-condition"],
    ["GET", { statuses: [429] }, status(429), "retriable-status-codes"],
    ["GET", { on: ["retriable-status-codes"], statuses: ["500-504"] }, status(504), "retriable-status-codes"],
    ["GET", { on: [], statuses: ["500-504"] }, status(505), "no-condition"],
    ["GET", { retriableHeaders: { "X-Shed": { exact: "1" } } }, status(200, { "x-shed": "1" }), "retriable-headers"],
    ["GET", { retriableHeaders: { "x-shed": { exact: "1" } } }, status(200, { "x-shed": "2" }), "no-condition"],
    [
      "GET",
      { retriableHeaders: { "x-shed": { regex: "[0-9]+" } } },
      status(200, { "x-shed": "27" }),
      "retriable-headers",
    ],
    ["GET", {}, status(503, { "x-envoy-ratelimited": "true" }), "no-condition"],
    ["GET", { on: ["envoy-ratelimited"] }, status(429, { "x-envoy-ratelimited": "true" }), "envoy-ratelimited"],
    ["GET", { on: ["cancelled"] }, status(200, { "grpc-status": "1" }), "cancelled"],
    ["GET", { on: ["deadline-exceeded"] }, status(200, { "grpc-status": "4" }), "deadline-exceeded"],
    ["GET", { on: ["resource-exhausted"] }, status(200, { "grpc-status": "8" }), "resource-exhausted"],
    ["GET", { on: ["internal"] }, status(200, { "grpc-status": "13" }), "internal"],
    ["GET", { on: ["unavailable"] }, status(200, { "grpc-status": "14" }), "unavailable"],
    ["GET", { on: ["unavailable"] }, status(200, { "grpc-status": "0" }), "no-condition"],
    ["POST", {}, status(503), "not-idempotent"],
    ["POST", { nonIdempotent: true }, status(503), "gateway-error"],
    ["PUT", {}, status(503), "gateway-error"],
    ["POST", {}, refused, "refused-stream"],
    ["POST", { on: ["reset"] }, refused, "no-condition"],
    ["POST", {}, unsent("CONNECT_FAILED"), "connect-failure"],
    ["POST", {}, unsent("IDENTITY_MISMATCH"), "connect-failure"],
    ["GET", { on: ["reset"] }, unsent("CONNECT_FAILED"), "reset"],
    ["GET", { on: ["reset-before-request"] }, unsent("CONNECT_FAILED"), "reset-before-request"],
    ["GET", { on: ["reset-before-request"] }, unsent("CONNECTION_TERMINATED"), "reset-before-request"],
    ["GET", { on: ["reset-before-request"] }, sent("CONNECTION_TERMINATED"), "no-condition"],
    ["GET", {}, sent("CONNECTION_TERMINATED"), "reset"],
    ["POST", {}, sent("CONNECTION_TERMINATED"), "not-idempotent"],
    ["GET", { on: ["5xx"] }, sent("CONNECTION_TERMINATED"), "5xx"],
    ["GET", { on: ["gateway-error"] }, sent("CONNECTION_TERMINATED"), "gateway-error"],
    ["GET", {}, sent("ATTEMPT_TIMEOUT"), "attempt-timeout"],
    ["GET", { on: ["reset"] }, sent("ATTEMPT_TIMEOUT"), "reset"],
    ["GET", {}, unsent("OVERFLOW_PENDING"), "no-condition"],
    ["GET", {}, unsent("CIRCUIT_OPEN"), "no-condition"],
    ["GET", {}, unsent("NO_HEALTHY_ENDPOINT"), "no-condition"],
  ] as const)("%s under %j after %j: %s", (method, policy, ended, because) => {
    expect(retryable(retryRules(policy as RetryPolicy), ended, call({ method })).because).toBe(because);
  });

  test("a body that is kept goes again; one that is not, only if nothing of it was sent", () => {
    const rules = retryRules();
    const connectFailed = unsent("CONNECT_FAILED");
    const because = (ended: AttemptOutcome, body: Repeatable["body"]) =>
      retryable(rules, ended, call({ body })).because;
    expect(because(status(503), "kept")).toBe("gateway-error");
    expect(because(refused, "kept")).toBe("refused-stream");
    expect(because(connectFailed, "unsent")).toBe("connect-failure");
    expect(because(refused, "unsent")).toBe("body-spent");
    expect(because(status(503), "unsent")).toBe("body-spent");
    expect(because(connectFailed, "spent")).toBe("body-spent");
  });

  test("what other hops repeat is not repeated here, unless it was provably not sent or the policy wants it", () => {
    const below = outcome({ reply: { status: 503, headers: {} }, retriedBelow: true });
    expect(retryable(retryRules(), below, call()).because).toBe("retried-below");
    expect(retryable(retryRules({ stacked: true }), below, call()).because).toBe("gateway-error");
    const within = call({ withinRetry: true });
    expect(retryable(retryRules(), status(503), within).because).toBe("within-retry");
    expect(retryable(retryRules(), sent("CONNECTION_TERMINATED"), within).because).toBe("within-retry");
    expect(retryable(retryRules(), unsent("CONNECT_FAILED"), within).because).toBe("connect-failure");
    expect(retryable(retryRules({ stacked: true }), status(503), within).because).toBe("gateway-error");
  });
});
