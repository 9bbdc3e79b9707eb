import { type Duration, type RetryCondition, type RetryPolicy, retryConditions } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import { wholeDuration } from "./whole-duration.ts";

/** Istio's HTTPRetry. */
export const retriesMessage: Message<
  "attempts" | "perTryTimeout" | "retryOn" | "retryRemoteLocalities" | "retryIgnorePreviousHosts" | "backoff"
> = message("HTTPRetry", {
  attempts: to("retry.retries"),
  perTryTimeout: to("attemptTimeout"),
  retryOn: to("retry.on, retry.statuses"),
  retryRemoteLocalities: noMeaning("an attempt goes where the balancer says, other localities included"),
  retryIgnorePreviousHosts: noMeaning(
    "an attempt never goes to an endpoint that was tried, while there is another one",
  ),
  backoff: to("retry.backoff.base"),
});

/** What retries become of. */
export interface ReadRetries {
  readonly retry?: RetryPolicy | false;
  readonly attemptTimeout?: Duration;
}

/** What Istio repeats where a document names no conditions. */
const defaultRetryOn = "connect-failure,refused-stream,unavailable,cancelled,503";

/** A policy's most retries. */
const MOST_RETRIES = 10;

/** Conditions of Envoy that are there under another name, or nothing to ask for here. */
const sameAs: ReadonlyMap<string, readonly RetryCondition[]> = new Map([["http3-post-connect-failure", []]]);

/** Reads how often an attempt is repeated. Envoy repeats whatever the method is, and so does the policy. */
export const readRetries = (fields: FieldsOf<typeof retriesMessage> | undefined): ReadRetries => {
  if (fields === undefined) return {};
  const attempts = fields.integer("attempts") ?? 0;
  const perTryTimeout = wholeDuration(fields, "perTryTimeout");
  const base = wholeDuration(fields, "backoff");
  if (attempts < 0) fields.refuse("attempts", `${attempts} is no number of attempts`);
  if (attempts === 0) {
    for (const name of ["perTryTimeout", "retryOn", "retryRemoteLocalities", "backoff"] as const) {
      if (fields.has(name)) fields.refuse(name, "without attempts nothing is repeated");
    }
    return { retry: false };
  }
  if (attempts > MOST_RETRIES) {
    fields.warn("attempts", `${attempts} is more than a policy allows: ${MOST_RETRIES} are made`);
  }
  const { on, statuses } = readConditions(fields);
  return {
    retry: {
      retries: Math.min(attempts, MOST_RETRIES),
      on,
      ...(statuses.length === 0 ? {} : { statuses }),
      nonIdempotent: true,
      ...(base === undefined ? {} : { backoff: { base } }),
    },
    ...(perTryTimeout === undefined ? {} : { attemptTimeout: perTryTimeout }),
  };
};

const readConditions = (
  fields: FieldsOf<typeof retriesMessage>,
): { readonly on: readonly RetryCondition[]; readonly statuses: readonly number[] } => {
  const on = new Set<RetryCondition>();
  const statuses: number[] = [];
  for (const word of (fields.text("retryOn") || defaultRetryOn).split(",").map((each) => each.trim())) {
    const same = sameAs.get(word);
    if (isCondition(word)) on.add(word);
    else if (same !== undefined) for (const each of same) on.add(each);
    else if (/^[1-5]\d\d$/.test(word)) readStatus(fields, Number(word), statuses);
    else fields.refuse("retryOn", `"${word}" is no condition of a retry`);
  }
  return { on: [...on], statuses };
};

const readStatus = (fields: FieldsOf<typeof retriesMessage>, status: number, statuses: number[]): void => {
  if (status >= 400) statuses.push(status);
  else fields.tellNoMeaning("retryOn", `an answer with ${status} is no failure, and is not repeated`);
};

const isCondition = (word: string): word is RetryCondition => (retryConditions as readonly string[]).includes(word);
