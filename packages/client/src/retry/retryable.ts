import type { AttemptSummary, RetryCondition } from "@tulle/policy";
import { headerOf } from "../call.ts";
import type { Reply } from "../reply.ts";
import type { BodyState } from "./replay-body.ts";
import { grpcConditions, type RetryRules } from "./retry-rules.ts";

/** What one attempt came to: a reply, or the code of its failure. */
export interface AttemptOutcome {
  readonly progress: AttemptSummary["progress"];
  readonly reply: Pick<Reply, "status" | "headers"> | undefined;
  /** A mesh code, or the transport's own. */
  readonly code: string | undefined;
  /** A verified peer said that a hop further on was retried in vain. */
  readonly retriedBelow: boolean;
}

/** What the decision needs to know of the call. */
export interface Repeatable {
  readonly method: string;
  /** Flat list, as the caller wrote them. */
  readonly headers: readonly string[];
  readonly body: BodyState;
  /** Whether the call is made by a visit that is itself a retry of its caller. */
  readonly withinRetry: boolean;
}

/** Why an attempt is not repeated although it failed. */
export type NoRetryReason =
  /** No condition of the policy names the failure, so it is an answer like any other. */
  | "no-condition"
  /** None of the policy's `retriableRequestHeaders` fits. */
  | "request-headers"
  /** The method is not idempotent and the attempt may have been processed. */
  | "not-idempotent"
  /** The body cannot be sent again. */
  | "body-spent"
  /** A hop further on was retried in vain. */
  | "retried-below"
  /** The visit that makes the call is a retry itself. */
  | "within-retry";

/** Why an attempt is not repeated, or the condition under which it is. */
export type RetryVerdict =
  | { readonly repeat: true; readonly because: RetryCondition }
  | { readonly repeat: false; readonly because: NoRetryReason };

/** Methods that may be sent twice (RFC 9110 section 9.2.2, and QUERY). */
const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"]);

/**
 * Whether a call may be sent twice without a second effect: by its method, or by the caller's word, which an
 * `Idempotency-Key` is: whoever sends it expects that the server knows a repetition by it.
 */
export const isIdempotent = (method: string, headers: readonly string[]): boolean =>
  idempotent.has(method) || headerOf(headers, "idempotency-key") !== undefined;

/**
 * Decides whether a failed attempt may be repeated: some condition of the policy must hold, no other hop may have repeated
 * the same work, the attempt must be provably unsent or its call idempotent, and the body must still be there.
 */
export const retryable = (rules: RetryRules, outcome: AttemptOutcome, call: Repeatable): RetryVerdict => {
  const because = conditionOf(rules, outcome);
  if (because === undefined) return no("no-condition");
  if (rules.fitsRequest?.(call.headers) === false) return no("request-headers");
  const unsent = outcome.progress === "not-sent" || outcome.progress === "refused";
  if (!unsent) {
    if (outcome.retriedBelow && !rules.stacked) return no("retried-below");
    if (call.withinRetry && !rules.stacked) return no("within-retry");
    if (!rules.nonIdempotent && !isIdempotent(call.method, call.headers)) return no("not-idempotent");
  }
  // What a peer refused was on the wire, and there a body that is not kept may have been read.
  if (call.body === "spent" || (call.body === "unsent" && outcome.progress !== "not-sent")) return no("body-spent");
  return { repeat: true, because };
};

const no = (because: NoRetryReason): RetryVerdict => ({ repeat: false, because });

const conditionOf = (rules: RetryRules, outcome: AttemptOutcome): RetryCondition | undefined => {
  const { on } = rules;
  const { progress, reply, code } = outcome;
  if (progress === "refused") return firstOf(on, "refused-stream");
  if (reply !== undefined) return conditionOfReply(rules, reply);
  switch (code) {
    case "CONNECT_FAILED":
    case "IDENTITY_MISMATCH":
      return firstOf(on, "connect-failure", "reset-before-request", ...noAnswer);
    case "CONNECTION_TERMINATED":
    case "REPLY_BROKEN":
      return progress === "not-sent" ? firstOf(on, "reset-before-request", ...noAnswer) : firstOf(on, ...noAnswer);
    case "ATTEMPT_TIMEOUT":
      return firstOf(on, "attempt-timeout", ...noAnswer);
    default:
      return undefined;
  }
};

/** Envoy counts an attempt without an answer among `reset`, and as the 503 that it would make of it. */
const noAnswer: readonly RetryCondition[] = ["reset", "gateway-error", "5xx"];

const conditionOfReply = (
  { on, statuses, fitsReply }: RetryRules,
  { status, headers }: Pick<Reply, "status" | "headers">,
): RetryCondition | undefined => {
  // A limiter that asks for fewer calls is not asked again by any other condition (Envoy).
  if (headers["x-envoy-ratelimited"] !== undefined) return firstOf(on, "envoy-ratelimited");
  if (statuses.has(status)) return "retriable-status-codes";
  if (status >= 502 && status <= 504 && on.has("gateway-error")) return "gateway-error";
  if (status >= 500 && on.has("5xx")) return "5xx";
  if (status === 409 && on.has("retriable-4xx")) return "retriable-4xx";
  if (fitsReply?.(headers) === true) return "retriable-headers";
  const grpcStatus = headers["grpc-status"];
  const grpc = typeof grpcStatus === "string" ? grpcConditions.get(grpcStatus) : undefined;
  return grpc === undefined ? undefined : firstOf(on, grpc);
};

const firstOf = (on: ReadonlySet<RetryCondition>, ...conditions: RetryCondition[]): RetryCondition | undefined =>
  conditions.find((condition) => on.has(condition));
