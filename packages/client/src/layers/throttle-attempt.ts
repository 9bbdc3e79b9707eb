import type { Clock } from "@tulle/time";
import { failCall } from "../failure.ts";
import type { AttemptLayer } from "../send.ts";
import type { AdaptiveThrottle } from "../throttling/adaptive-throttle.ts";

/** What throttling tells; totals over the life of the client. */
export interface ThrottleCounters {
  /** Attempts that were refused because their destination rejects many. */
  throttled: number;
}

/** Refuses part of the attempts while the destination rejects many, and learns from how the others end. */
export const throttleAttempt =
  (throttle: AdaptiveThrottle, clock: Clock, counters: ThrottleCounters): AttemptLayer =>
  (next) =>
  (call, attempt) => {
    if (throttle.refuses(clock.now())) {
      counters.throttled++;
      attempt.code = "THROTTLED";
      const message = "the destination rejects many calls, so this client sends it fewer";
      return Promise.reject(failCall(call, "THROTTLED", message, { hint }));
    }
    return next(call, attempt).then(
      (reply) => {
        throttle.answered(reply, attempt, clock.now());
        return reply;
      },
      (error: unknown) => {
        throttle.failed(error, attempt, clock.now());
        throw error;
      },
    );
  };

const hint = "it is overloaded or fails; adaptiveThrottling of the Service policy sets how many calls are sent";
