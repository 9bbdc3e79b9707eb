import { isMeshError } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { beginAttempt } from "../call.ts";
import { completeFailure, failCall } from "../failure.ts";
import type { Reply } from "../reply.ts";
import type { Attempt, Call } from "../send.ts";
import { FIRST_SENT_HEADER } from "../transport/control-headers.ts";
import type { LatencyEstimate } from "./latency-estimate.ts";
import { bodyState, releaseBody } from "./replay-body.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { RetryRules } from "./retry-rules.ts";
import { retryable } from "./retryable.ts";

/** What retries and hedges tell; totals over the life of the client. */
export interface RetryCounters {
  /** Attempts after a first one, hedges included. */
  retries: number;
  /** Attempts that were begun because another was late or had failed, without a back-off. */
  hedges: number;
  /** Attempts that were given up because another had answered. */
  hedgesCancelled: number;
  /** Retries and hedges that the budget refused. */
  retriesOverBudget: number;
  /** Retries that a body larger than the replay bound, or lost to an earlier attempt, made impossible. */
  retriesWithoutBody: number;
  /** Retries that were left to another hop, which had made them in vain or makes them. */
  retriesLeftToHops: number;
  /** Retries and hedges that could not have ended before their call's deadline. */
  retriesOutOfTime: number;
}

/** What the layers that make attempts are made of. */
export interface AttemptsKit {
  /** `undefined`: no retries, unless a call asks for them. */
  readonly policy: RetryRules | undefined;
  /** What a call gets that asks for retries where the policy has none. */
  readonly fallback: RetryRules;
  readonly budget: RetryBudget;
  readonly latency: LatencyEstimate;
  readonly clock: Clock;
  readonly counters: RetryCounters;
}

/** What an attempt came to that may not be the last word. */
export interface Outcome {
  readonly reply: Reply | undefined;
  readonly failure: unknown;
}

/** Whether a reply need not be looked at: the fast way out. */
export const isPlainSuccess = (reply: Reply, rules: RetryRules | undefined): boolean =>
  reply.status < 400 && rules?.readsAllReplies !== true;

/** What a call gets for its retries, where it says something about them itself. */
export const rulesFor = ({ policy, fallback }: AttemptsKit, call: Call): RetryRules | undefined => {
  const wanted = call.options.retry;
  if (wanted === undefined) return policy;
  if (wanted === false || wanted === 0) return undefined;
  const base = policy ?? fallback;
  return wanted === true ? base : { ...base, retries: wanted };
};

/**
 * Begins an attempt after others. Where none of them can have reached a handler the next hop is told so: its visit is no retry, and
 * may retry in its turn.
 */
export const beginFurther = (call: Call, nowMs: number, waitedMs: number): Attempt => {
  const isFirstSent = call.attempts.every(isUnsent);
  const attempt = beginAttempt(call, nowMs, waitedMs);
  if (isFirstSent) attempt.headers.push(FIRST_SENT_HEADER, "1");
  return attempt;
};

/** One that is under way may be sent at any time. */
const isUnsent = ({ progress, abort }: Attempt): boolean =>
  abort === undefined && (progress === "not-sent" || progress === "refused");

/** Whether the policy allows another attempt at all. */
export const mayRepeat = (
  { counters }: AttemptsKit,
  rules: RetryRules,
  call: Call,
  attempt: Attempt,
  { reply, failure }: Outcome,
): boolean => {
  if (call.cancel.cancelled) return false;
  const verdict = retryable(
    rules,
    {
      progress: attempt.progress,
      reply,
      code: isMeshError(failure) ? failure.code : attempt.code,
      retriedBelow: attempt.retriedBelow,
    },
    {
      method: call.method,
      headers: call.headers,
      body: bodyState(call.body, call.replayable),
      withinRetry: call.inherited?.isRetry === true,
    },
  );
  if (verdict.repeat) return true;
  // Nothing is asked of an answer like any other, whatever stood in the way of a hedge before it came.
  call.noRetry = verdict.because === "no-condition" ? undefined : verdict.because;
  if (verdict.because === "body-spent") counters.retriesWithoutBody++;
  else if (verdict.because === "retried-below" || verdict.because === "within-retry") counters.retriesLeftToHops++;
  return false;
};

/** Whether an attempt that begins at this time would end before the deadline, if it takes no longer than half of all do. */
export const fitsDeadline = ({ latency, clock }: AttemptsKit, call: Call, delayMs: number): boolean => {
  if (call.deadlineMs === Number.POSITIVE_INFINITY) return true;
  const nowMs = clock.now();
  return nowMs + delayMs + (latency.quantile(0.5, nowMs) ?? 0) < call.deadlineMs;
};

/** Whether another attempt fits into the call's time and its destination's budget, which then has paid for it. */
export const affords = (kit: AttemptsKit, call: Call, delayMs: number): boolean => {
  if (!fitsDeadline(kit, call, delayMs)) {
    call.noRetry = "no-time";
    kit.counters.retriesOutOfTime++;
    return false;
  }
  if (!kit.budget.tryWithdraw(kit.clock.now())) {
    call.noRetry = "OVERFLOW_RETRIES";
    kit.counters.retriesOverBudget++;
    return false;
  }
  return true;
};

/** What the caller gets when nothing is repeated any more: the last reply, or the last failure. */
export const settle = (call: Call, attempt: Attempt, { reply, failure }: Outcome): Reply => {
  if (reply === undefined || reply.status >= 500) {
    if (wasInVain(call)) call.inherited?.noteRetriedInVain?.();
  }
  if (reply === undefined) throw completeFailure(call, failure);
  if (attempt.progress !== "refused") {
    releaseBody(call.body);
    return reply;
  }
  reply.discard();
  throw failCall(
    call,
    "REFUSED_UNPROCESSED",
    `${attempt.endpoint ?? "the endpoint"} refused the call before its handler saw it, and it could not be repeated`,
  );
};

/** Whether somebody has tried again already, or has spent what there was for it. */
const wasInVain = (call: Call): boolean =>
  call.attempts.length > 1 || call.noRetry === "OVERFLOW_RETRIES" || call.noRetry === "retried-below";

/** Why no attempt followed, where nothing else was the reason. */
export const noteLimit = (call: Call): void => {
  call.noRetry ??= "limit";
};
