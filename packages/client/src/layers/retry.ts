import { type EffectiveRetry, isMeshError } from "@tulle/policy";
import { type Clock, type Random, whileHeld } from "@tulle/time";
import pRetry from "p-retry";
import { beginAttempt } from "../call.ts";
import { completeFailure, failCall } from "../failure.ts";
import type { Reply } from "../reply.ts";
import { wasTouched } from "../retry/replay-body.ts";
import type { RetryBudget } from "../retry/retry-budget.ts";
import { parseRetryAfter, retryDelay } from "../retry/retry-delay.ts";
import { retryable } from "../retry/retryable.ts";
import type { Attempt, AttemptSend, AttemptsLayer, Call } from "../send.ts";

/** What the retry layer tells; totals over the life of the client. */
export interface RetryCounters {
  /** Attempts after a first one. */
  retries: number;
  /** Retries that the budget refused. */
  retriesOverBudget: number;
  /** Retries that a body larger than the replay bound, or read already, made impossible. */
  retriesWithoutBody: number;
}

/** What {@link retry} is made of. */
export interface RetryKit {
  /** `undefined`: no retries, unless a call asks for them. */
  readonly policy: EffectiveRetry | undefined;
  /** What a call gets that asks for retries where the policy has none. */
  readonly fallback: EffectiveRetry;
  readonly budget: RetryBudget;
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: RetryCounters;
}

/**
 * Repeats failed attempts. The first attempt passes straight through; only its failure enters p-retry's loop, which is fed
 * that failure as its first round. What is repeated, how long it waits and who pays is decided here: p-retry has no jitter,
 * no budget, and retries no TypeError, which a MeshError is.
 */
export const retry = (kit: RetryKit): AttemptsLayer => {
  const { budget, clock } = kit;
  return (next) => (call) => {
    const policy = policyFor(kit, call);
    const nowMs = call.startedAtMs;
    budget.deposit(nowMs);
    const attempt = beginAttempt(call, nowMs);
    return next(call, attempt).then(
      (reply) => {
        attempt.durationMs = clock.now() - attempt.startedAtMs;
        return reply.status < 400 ? reply : consider(kit, policy, next, call, attempt, { reply, failure: undefined });
      },
      (failure: unknown) => {
        attempt.durationMs = clock.now() - attempt.startedAtMs;
        return consider(kit, policy, next, call, attempt, { reply: undefined, failure });
      },
    );
  };
};

/** What a first attempt came to that may not be the last word. */
interface Outcome {
  readonly reply: Reply | undefined;
  readonly failure: unknown;
}

const consider = (
  kit: RetryKit,
  policy: EffectiveRetry | undefined,
  next: AttemptSend,
  call: Call,
  attempt: Attempt,
  outcome: Outcome,
): Reply | Promise<Reply> =>
  policy !== undefined && mayRepeat(kit, policy, call, attempt, outcome)
    ? repeat(kit, policy, next, call, attempt, new Setback(outcome))
    : settle(call, attempt, outcome);

/** An outcome on its way through p-retry, which wants errors and retries no TypeError. */
class Setback extends Error implements Outcome {
  readonly reply: Reply | undefined;
  readonly failure: unknown;

  constructor({ reply, failure }: Outcome) {
    super("the attempt failed");
    this.reply = reply;
    this.failure = failure;
  }
}

const repeat = async (
  kit: RetryKit,
  policy: EffectiveRetry,
  next: AttemptSend,
  call: Call,
  first: Attempt,
  setback: Setback,
): Promise<Reply> => {
  let attempt = first;
  let waitedMs = 0;
  try {
    return await pRetry(
      (round) => {
        if (round === 1) throw setback;
        attempt = beginAttempt(call, kit.clock.now(), waitedMs);
        return again(kit, next, call, attempt);
      },
      {
        retries: policy.retries,
        minTimeout: 0,
        // A failure that must not be repeated leaves the loop by being thrown here.
        onFailedAttempt: async ({ error, attemptNumber, retriesLeft }) => {
          if (!(error instanceof Setback)) throw error;
          const repeats = retriesLeft > 0 && (attemptNumber === 1 || mayRepeat(kit, policy, call, attempt, error));
          const delayMs = repeats ? grant(kit, policy, call, error, attemptNumber) : undefined;
          if (delayMs === undefined) throw error;
          error.reply?.discard();
          waitedMs = delayMs;
          await whileHeld(pause(kit.clock, call, delayMs, kit.budget));
          kit.counters.retries++;
        },
      },
    );
  } catch (error) {
    if (error instanceof Setback) return settle(call, attempt, error);
    throw error;
  }
};

/** One attempt that the budget has paid for. */
const again = async (kit: RetryKit, next: AttemptSend, call: Call, attempt: Attempt): Promise<Reply> => {
  try {
    const reply = await next(call, attempt);
    if (reply.status < 400) return reply;
    throw new Setback({ reply, failure: undefined });
  } catch (failure) {
    throw failure instanceof Setback ? failure : new Setback({ reply: undefined, failure });
  } finally {
    attempt.durationMs = kit.clock.now() - attempt.startedAtMs;
    kit.budget.release();
  }
};

/** Whether the policy allows another attempt at all. */
const mayRepeat = (
  { counters }: RetryKit,
  policy: EffectiveRetry,
  call: Call,
  attempt: Attempt,
  { reply, failure }: Outcome,
): boolean => {
  if (call.cancel.cancelled) return false;
  const verdict = retryable(
    policy,
    { progress: attempt.progress, status: reply?.status, code: isMeshError(failure) ? failure.code : attempt.code },
    { method: call.method, replayable: call.replayable, bodyTouched: wasTouched(call.body) },
  );
  if (!verdict.repeat && verdict.because === "body-spent") counters.retriesWithoutBody++;
  return verdict.repeat;
};

/** The wait before the next attempt, paid for; `undefined` when there must not be one. */
const grant = (
  { budget, clock, random, counters }: RetryKit,
  policy: EffectiveRetry,
  call: Call,
  { reply }: Outcome,
  retryNumber: number,
): number | undefined => {
  const retryAfter = reply?.headers["retry-after"];
  const asked = parseRetryAfter(typeof retryAfter === "string" ? retryAfter : undefined, clock.wallNow());
  const delayMs = retryDelay(policy, retryNumber, asked, random);
  const nowMs = clock.now();
  if (delayMs === undefined || nowMs + delayMs >= call.deadlineMs) return undefined;
  if (!budget.tryWithdraw(nowMs)) {
    counters.retriesOverBudget++;
    return undefined;
  }
  return delayMs;
};

/** Waits, but not for a call that was given up meanwhile. */
const pause = (clock: Clock, call: Call, delayMs: number, budget: RetryBudget): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = clock.after(delayMs, () => {
      stop();
      resolve();
    });
    const stop = call.cancel.onCancel((reason) => {
      timer.cancel();
      budget.release();
      reject(new Setback({ reply: undefined, failure: reason }));
    });
  });

/** What the caller gets when nothing is repeated any more: the last reply, or the last failure. */
const settle = (call: Call, attempt: Attempt, { reply, failure }: Outcome): Reply => {
  if (reply === undefined) throw completeFailure(call, failure);
  if (attempt.progress !== "refused") return reply;
  reply.discard();
  throw failCall(
    call,
    "REFUSED_UNPROCESSED",
    `${attempt.endpoint ?? "the endpoint"} refused the call before its handler saw it, and it could not be repeated`,
  );
};

const policyFor = ({ policy, fallback }: RetryKit, call: Call): EffectiveRetry | undefined => {
  const wanted = call.options.retry;
  if (wanted === undefined) return policy;
  if (wanted === false || wanted === 0) return undefined;
  const base = policy ?? fallback;
  return wanted === true ? base : { ...base, retries: wanted };
};
