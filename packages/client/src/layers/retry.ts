import { type Random, whileHeld } from "@tulle/time";
import pRetry from "p-retry";
import { beginAttempt } from "../call.ts";
import type { Reply } from "../reply.ts";
import {
  type AttemptsKit,
  affords,
  beginFurther,
  isPlainSuccess,
  mayRepeat,
  noteLimit,
  type Outcome,
  rulesFor,
  settle,
} from "../retry/attempt-outcome.ts";
import { releaseBody, rewindBody } from "../retry/replay-body.ts";
import { askedDelay, retryDelay } from "../retry/retry-delay.ts";
import type { RetryRules } from "../retry/retry-rules.ts";
import type { Attempt, AttemptSend, AttemptsLayer, Call } from "../send.ts";

/** What {@link retry} is made of. */
export interface RetryKit extends AttemptsKit {
  readonly random: Random;
}

/**
 * Repeats failed attempts. The first attempt passes straight through; only its failure enters p-retry's loop, which is fed
 * that failure as its first round. What is repeated, how long it waits and who pays is decided here: p-retry has no jitter,
 * no budget, and retries no TypeError, which a MeshError is.
 */
export const retry = (kit: RetryKit): AttemptsLayer => {
  const { budget, clock, latency } = kit;
  return (next) => (call) => {
    const rules = rulesFor(kit, call);
    const nowMs = call.startedAtMs;
    budget.deposit(nowMs);
    const attempt = beginAttempt(call, nowMs);
    return next(call, attempt).then(
      (reply) => {
        const endMs = clock.now();
        attempt.durationMs = endMs - attempt.startedAtMs;
        if (!isPlainSuccess(reply, rules))
          return consider(kit, rules, next, call, attempt, { reply, failure: undefined });
        latency.record(attempt.durationMs, endMs);
        releaseBody(call.body);
        return reply;
      },
      (failure: unknown) => {
        attempt.durationMs = clock.now() - attempt.startedAtMs;
        return consider(kit, rules, next, call, attempt, { reply: undefined, failure });
      },
    );
  };
};

const consider = (
  kit: RetryKit,
  rules: RetryRules | undefined,
  next: AttemptSend,
  call: Call,
  attempt: Attempt,
  outcome: Outcome,
): Reply | Promise<Reply> =>
  rules !== undefined && mayRepeat(kit, rules, call, attempt, outcome)
    ? repeat(kit, rules, next, call, attempt, outcome, rules.retries)
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

/**
 * Goes on after an attempt that may be repeated.
 *
 * @param retries how many attempts may follow.
 */
export const repeat = async (
  kit: RetryKit,
  rules: RetryRules,
  next: AttemptSend,
  call: Call,
  first: Attempt,
  outcome: Outcome,
  retries: number,
): Promise<Reply> => {
  const setback = new Setback(outcome);
  let attempt = first;
  let waitedMs = 0;
  /** Counts the waits of one back-off; a server that says when to come back begins a new one (gRPC A6). */
  let step = 0;
  try {
    return await pRetry(
      (round) => {
        if (round === 1) throw setback;
        attempt = beginFurther(call, kit.clock.now(), waitedMs);
        return again(kit, rules, next, call, attempt);
      },
      {
        retries,
        minTimeout: 0,
        // A failure that must not be repeated leaves the loop by being thrown here.
        onFailedAttempt: async ({ error, attemptNumber, retriesLeft }) => {
          if (!(error instanceof Setback)) throw error;
          if (attemptNumber > 1 && !mayRepeat(kit, rules, call, attempt, error)) throw error;
          if (retriesLeft <= 0) {
            noteLimit(call);
            throw error;
          }
          const asked = error.reply === undefined ? undefined : askedDelay(error.reply, kit.clock.wallNow());
          step = asked === undefined ? step + 1 : 0;
          const delayMs = retryDelay(rules, step, asked, kit.random);
          if (delayMs === undefined) call.noRetry = "server-asked";
          if (delayMs === undefined || !affords(kit, call, delayMs)) throw error;
          error.reply?.discard();
          rewindBody(call.body);
          waitedMs = delayMs;
          await whileHeld(pause(kit, call, delayMs));
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
const again = async (
  kit: RetryKit,
  rules: RetryRules,
  next: AttemptSend,
  call: Call,
  attempt: Attempt,
): Promise<Reply> => {
  try {
    const reply = await next(call, attempt);
    if (!isPlainSuccess(reply, rules)) throw new Setback({ reply, failure: undefined });
    releaseBody(call.body);
    return reply;
  } catch (failure) {
    throw failure instanceof Setback ? failure : new Setback({ reply: undefined, failure });
  } finally {
    attempt.durationMs = kit.clock.now() - attempt.startedAtMs;
  }
};

/** Waits, but not for a call that was given up meanwhile. */
const pause = ({ clock }: RetryKit, call: Call, delayMs: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = clock.after(delayMs, () => {
      stop();
      resolve();
    });
    const stop = call.cancel.onCancel((reason) => {
      timer.cancel();
      reject(new Setback({ reply: undefined, failure: reason }));
    });
  });
