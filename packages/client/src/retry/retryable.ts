import type { AttemptSummary, EffectiveRetry, RetryCondition } from "@tulle/policy";

/** What one attempt came to: a reply's status, or the code of its failure. */
export interface AttemptOutcome {
  readonly progress: AttemptSummary["progress"];
  readonly status: number | undefined;
  /** A mesh code, or the transport's own. */
  readonly code: string | undefined;
}

/** What the decision needs to know of the call. */
export interface Repeatable {
  readonly method: string;
  /** Whether the body can be sent again although it was sent before. */
  readonly replayable: boolean;
  /** Whether the body was read at all; a stream that was not may go with another attempt. */
  readonly bodyTouched: boolean;
}

/** Why an attempt is not repeated, or the condition under which it is. */
export type RetryVerdict =
  | { readonly repeat: true; readonly because: RetryCondition | "status" }
  | { readonly repeat: false; readonly because: "no-condition" | "not-idempotent" | "body-spent" };

/** Methods that may be sent twice (RFC 9110 section 9.2.2, and QUERY). */
const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"]);

/** Whether a method may be sent twice without a second effect. */
export const isIdempotent = (method: string): boolean => idempotent.has(method);

/**
 * Decides whether a failed attempt may be repeated: some condition of the policy must hold, the attempt must be provably
 * unsent or its method idempotent, and the body must still be there.
 */
export const retryable = (policy: EffectiveRetry, outcome: AttemptOutcome, call: Repeatable): RetryVerdict => {
  const because = conditionOf(policy, outcome);
  if (because === undefined) return noCondition;
  const unsent = outcome.progress === "not-sent" || outcome.progress === "refused";
  if (!unsent && !policy.nonIdempotent && !isIdempotent(call.method)) return notIdempotent;
  // What a peer refused was on the wire, so a body that can be read once is gone.
  if (!call.replayable && (call.bodyTouched || outcome.progress !== "not-sent")) return bodySpent;
  return { repeat: true, because };
};

const noCondition: RetryVerdict = { repeat: false, because: "no-condition" };
const notIdempotent: RetryVerdict = { repeat: false, because: "not-idempotent" };
const bodySpent: RetryVerdict = { repeat: false, because: "body-spent" };

const conditionOf = (
  { on, statuses }: EffectiveRetry,
  { progress, status, code }: AttemptOutcome,
): RetryCondition | "status" | undefined => {
  if (progress === "refused") return on.has("refused-stream") ? "refused-stream" : undefined;
  if (status !== undefined) {
    if (statuses.has(status)) return "status";
    if (status >= 502 && status <= 504 && on.has("gateway-error")) return "gateway-error";
    if (status >= 500 && on.has("5xx")) return "5xx";
    if (status === 409 && on.has("retriable-4xx")) return "retriable-4xx";
    return undefined;
  }
  switch (code) {
    case "CONNECT_FAILED":
    case "IDENTITY_MISMATCH":
      return firstOf(on, "connect-failure", "5xx");
    case "CONNECTION_TERMINATED":
    case "REPLY_BROKEN":
      return firstOf(on, "reset", "5xx");
    case "ATTEMPT_TIMEOUT":
      return firstOf(on, "attempt-timeout", "5xx");
    default:
      return undefined;
  }
};

/** Envoy's `5xx` includes attempts that never got a status. */
const firstOf = (on: ReadonlySet<RetryCondition>, ...conditions: RetryCondition[]): RetryCondition | undefined =>
  conditions.find((condition) => on.has(condition));
