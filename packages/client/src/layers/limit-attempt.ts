import { type EffectiveTimeouts, formatDuration } from "@tulle/policy";
import { type Clock, formatGrpcTimeout } from "@tulle/time";
import { failCall } from "../failure.ts";
import type { Reply } from "../reply.ts";
import type { AttemptLayer } from "../send.ts";
import { GRPC_TIMEOUT_HEADER, limitOf } from "./enforce-deadline.ts";

/** Envoy's header: how many milliseconds the caller waits for this attempt. A remainder, so that clocks need not agree. */
export const EXPECTED_TIMEOUT_HEADER = "x-envoy-expected-rq-timeout-ms";

/** Bounds one attempt, until its reply's headers, and tells the next hop how long we wait for it. */
export const limitAttempt =
  (timeouts: EffectiveTimeouts, clock: Clock): AttemptLayer =>
  (next) =>
  (call, attempt) => {
    const limitMs = limitOf(call.options.attemptTimeout) ?? timeouts.attemptTimeoutMs;
    const remainingMs = call.deadlineMs === Number.POSITIVE_INFINITY ? call.deadlineMs : call.deadlineMs - clock.now();
    const expectedMs = Math.min(limitMs, remainingMs);
    if (expectedMs !== Number.POSITIVE_INFINITY) {
      attempt.headers.push(EXPECTED_TIMEOUT_HEADER, String(Math.max(1, Math.floor(expectedMs))));
      if (call.isGrpc) attempt.headers.push(GRPC_TIMEOUT_HEADER, formatGrpcTimeout(expectedMs));
    }
    // The call's own deadline ends the last attempt as well, and it has a timer already.
    if (limitMs >= remainingMs) return next(call, attempt);

    return new Promise<Reply>((resolve, reject) => {
      const timer = clock.after(limitMs, () => {
        const late = failCall(
          call,
          "ATTEMPT_TIMEOUT",
          `attempt ${attempt.number} on ${attempt.endpoint ?? "no endpoint"} took longer than its ${formatDuration(limitMs)}`,
        );
        attempt.code = late.code;
        attempt.abort?.(late);
        reject(late);
      });
      next(call, attempt).then(
        (reply) => {
          timer.cancel();
          resolve(reply);
        },
        (error: unknown) => {
          timer.cancel();
          reject(error);
        },
      );
    });
  };
