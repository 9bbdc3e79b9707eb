import { effectiveRetry, type RetryPolicy } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { type AttemptOutcome, retryable } from "./retryable.ts";

const mesh = { kind: "Mesh", name: "mesh" } as const;
const policyOf = (policy: RetryPolicy) => effectiveRetry(policy, mesh)!;
const outcome = (over: Partial<AttemptOutcome>): AttemptOutcome => ({
  progress: "answered",
  status: undefined,
  code: undefined,
  ...over,
});
const sent = (code: string) => outcome({ progress: "sent", code });
const status = (code: number) => outcome({ status: code });

describe("retryable", () => {
  test.each([
    ["GET", {}, status(503), "gateway-error"],
    ["GET", {}, status(502), "gateway-error"],
    ["GET", {}, status(500), "no-condition"],
    ["GET", { on: ["5xx"] }, status(500), "5xx"],
    ["GET", {}, status(404), "no-condition"],
    ["GET", { on: ["retriable-4xx"] }, status(409), "retriable-4xx"],
    ["GET", { statuses: [429] }, status(429), "status"],
    ["POST", {}, status(503), "not-idempotent"],
    ["POST", { nonIdempotent: true }, status(503), "gateway-error"],
    ["PUT", {}, status(503), "gateway-error"],
    ["POST", {}, outcome({ progress: "refused", status: 503 }), "refused-stream"],
    ["POST", { on: ["reset"] }, outcome({ progress: "refused", status: 503 }), "no-condition"],
    ["POST", {}, outcome({ progress: "not-sent", code: "CONNECT_FAILED" }), "connect-failure"],
    ["POST", {}, outcome({ progress: "not-sent", code: "IDENTITY_MISMATCH" }), "connect-failure"],
    ["GET", {}, sent("CONNECTION_TERMINATED"), "reset"],
    ["POST", {}, sent("CONNECTION_TERMINATED"), "not-idempotent"],
    ["GET", { on: ["5xx"] }, sent("CONNECTION_TERMINATED"), "5xx"],
    ["GET", {}, sent("ATTEMPT_TIMEOUT"), "attempt-timeout"],
    ["GET", {}, outcome({ progress: "not-sent", code: "OVERFLOW" }), "no-condition"],
    ["GET", {}, outcome({ progress: "not-sent", code: "CIRCUIT_OPEN" }), "no-condition"],
    ["GET", {}, outcome({ progress: "not-sent", code: "NO_HEALTHY_ENDPOINT" }), "no-condition"],
  ] as const)("%s under %j after %j: %s", (method, policy, ended, because) => {
    const verdict = retryable(policyOf(policy as RetryPolicy), ended, { method, replayable: true, bodyTouched: false });
    expect(verdict.because).toBe(because);
  });

  test("a body that can be read once is sent again only if nobody read it", () => {
    const once = { method: "PUT", replayable: false };
    const unsent = outcome({ progress: "not-sent", code: "CONNECT_FAILED" });
    expect(retryable(policyOf({}), unsent, { ...once, bodyTouched: false }).repeat).toBe(true);
    expect(retryable(policyOf({}), unsent, { ...once, bodyTouched: true }).because).toBe("body-spent");
    expect(retryable(policyOf({}), status(503), { ...once, bodyTouched: true }).because).toBe("body-spent");
    const refused = outcome({ progress: "refused", status: 503 });
    expect(retryable(policyOf({}), refused, { ...once, bodyTouched: false }).because).toBe("body-spent");
  });
});
