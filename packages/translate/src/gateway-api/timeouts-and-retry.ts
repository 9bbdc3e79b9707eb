import { type Duration, parseDuration, type RetryPolicy } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { boundedDuration } from "./gateway-duration.ts";

/** The Gateway API's HTTPRouteTimeouts. */
export const timeoutsMessage: Message<"request" | "backendRequest"> = message("HTTPRouteTimeouts", {
  request: to("timeout"),
  backendRequest: to("attemptTimeout"),
});

/** The Gateway API's HTTPRouteRetry. */
export const retryMessage: Message<"codes" | "attempts" | "backoff"> = message("HTTPRouteRetry", {
  codes: to("retry.statuses"),
  attempts: to("retry.retries"),
  backoff: to("retry.backoff.base"),
});

/** Reads a rule's limits of time. */
export const readTimeouts = (
  fields: FieldsOf<typeof timeoutsMessage> | undefined,
): { readonly timeout?: Duration; readonly attemptTimeout?: Duration } => {
  if (fields === undefined) return {};
  const timeout = boundedDuration(fields, "request", "timeout");
  const attemptTimeout = boundedDuration(fields, "backendRequest", "attemptTimeout");
  if (timeout !== undefined && attemptTimeout !== undefined) {
    const [whole, attempt] = [parseDuration(timeout), parseDuration(attemptTimeout)];
    if (whole > 0 && attempt > whole)
      fields.refuse("backendRequest", `${attemptTimeout} is longer than the request's ${timeout}`);
  }
  return {
    ...(timeout === undefined ? {} : { timeout }),
    ...(attemptTimeout === undefined ? {} : { attemptTimeout }),
  };
};

const MOST_RETRIES = 10;

/** Reads a rule's retries. What failed before an answer came is repeated too. */
export const readRetry = (fields: FieldsOf<typeof retryMessage> | undefined): RetryPolicy | undefined => {
  if (fields === undefined) return undefined;
  const statuses: number[] = [];
  for (const [at, code] of (fields.integers("codes") ?? []).entries()) {
    if (code < 400 || code > 599) fields.refuse("codes", `${code} is no failure: write 400 to 599`, at);
    else statuses.push(code);
  }
  const attempts = fields.integer("attempts");
  const base = boundedDuration(fields, "backoff", "backoff");
  if (attempts !== undefined && attempts < 0) fields.refuse("attempts", `${attempts} is no number of attempts`);
  if ((attempts ?? 0) > MOST_RETRIES) {
    fields.warn("attempts", `${attempts} is more than a policy allows: ${MOST_RETRIES} are made`);
  }
  return {
    ...(attempts === undefined ? {} : { retries: Math.min(attempts, MOST_RETRIES) }),
    on: ["connect-failure", "refused-stream", "reset"],
    ...(statuses.length === 0 ? {} : { statuses }),
    nonIdempotent: true,
    ...(base === undefined ? {} : { backoff: { base } }),
  };
};
