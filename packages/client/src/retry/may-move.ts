import type { Attempt, Call } from "../send.ts";
import { type AttemptsKit, rulesFor } from "./attempt-outcome.ts";
import { bodyState } from "./replay-body.ts";
import { retryable } from "./retryable.ts";

/**
 * Whether an attempt that waits for an endpoint which has fallen silent may be given up, because the call can go elsewhere: its
 * retries, its method, its body, the budget and the endpoints that are left allow another attempt. Asked only then.
 */
export const mayMove = (
  kit: AttemptsKit,
  hasUntried: (call: Call) => boolean,
  call: Call,
  attempt: Attempt,
): boolean => {
  const rules = rulesFor(kit, call);
  if (rules === undefined || call.cancel.cancelled || call.attempts.length > rules.retries) return false;
  if (kit.budget.balance(kit.clock.now()) < 1 || !hasUntried(call)) return false;
  const silent = {
    progress: attempt.progress,
    reply: undefined,
    code: "CONNECTION_TERMINATED",
    retriedBelow: attempt.retriedBelow,
  };
  return retryable(rules, silent, {
    method: call.method,
    headers: call.headers,
    body: bodyState(call.body, call.replayable),
    withinRetry: call.inherited?.isRetry === true,
  }).repeat;
};
