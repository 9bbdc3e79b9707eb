import type { EffectiveRetry } from "@tulle/policy";
import type { Random } from "@tulle/time";
import type { Reply } from "../reply.ts";

/** A server that asks for a longer wait than this is not waited for (Envoy, Linkerd): 300 s. */
export const MAX_RETRY_AFTER_MS = 300_000;

/** What a server said about a further attempt. */
export type AskedDelay =
  /** To be kept, and stretched by chance where it is `stretched`: others were told the same. */
  { readonly waitMs: number; readonly stretched: boolean } | "never";

/**
 * How long to wait before the n-th retry, from 1: full jitter, U[0, base × 2^(n-1)] up to `backoffMaxMs`, as Envoy does. What
 * the server asked for is waited for instead; a `Retry-After` or the reset of a rate limit is stretched by up to a half, so
 * that those who were told the same do not come back together. `undefined`: the server wants no retry, or one later than
 * anybody waits.
 */
export const retryDelay = (
  policy: Pick<EffectiveRetry, "backoffBaseMs" | "backoffMaxMs">,
  retry: number,
  asked: AskedDelay | undefined,
  random: Random,
): number | undefined => {
  if (asked === undefined) return random() * Math.min(policy.backoffBaseMs * 2 ** (retry - 1), policy.backoffMaxMs);
  if (asked === "never" || asked.waitMs > MAX_RETRY_AFTER_MS) return undefined;
  return asked.stretched ? asked.waitMs * (1 + random() / 2) : asked.waitMs;
};

/**
 * Reads what a reply says about a further attempt: gRPC's pushback (A6), `Retry-After`, and on a reply of a rate limiter (429, or
 * `x-envoy-ratelimited`) the time at which the limit is reset. Other replies tell that time too, and it says nothing of them.
 *
 * @param wallNowMs milliseconds since 1970.
 */
export const askedDelay = (
  { status, headers }: Pick<Reply, "status" | "headers">,
  wallNowMs: number,
): AskedDelay | undefined => {
  const pushback = headers["grpc-retry-pushback-ms"];
  if (pushback !== undefined) {
    // What cannot be read means no retry, as a negative number does.
    return typeof pushback === "string" && /^\d{1,15}$/.test(pushback)
      ? { waitMs: Number(pushback), stretched: false }
      : "never";
  }
  const limited = status === 429 || headers["x-envoy-ratelimited"] !== undefined;
  const waitMs =
    parseRetryAfter(oneOf(headers["retry-after"]), wallNowMs) ??
    (limited
      ? parseReset(oneOf(headers["x-ratelimit-reset"]) ?? oneOf(headers["ratelimit-reset"]), wallNowMs)
      : undefined);
  return waitMs === undefined ? undefined : { waitMs, stretched: true };
};

/**
 * Reads a `Retry-After` header: seconds, or a date.
 *
 * @param wallNowMs milliseconds since 1970.
 * @returns milliseconds from now, or `undefined` when the header is absent or says nothing.
 */
export const parseRetryAfter = (header: string | undefined, wallNowMs: number): number | undefined => {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1_000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - wallNowMs);
};

/** Numbers from here on, 2001 in seconds since 1970, are taken for a time and not for a wait: both are in use. */
const FIRST_TIMESTAMP_S = 1_000_000_000;

/** Reads when a rate limit is reset: seconds from now, or seconds since 1970. Returns milliseconds from now. */
export const parseReset = (header: string | undefined, wallNowMs: number): number | undefined => {
  if (header === undefined || !/^\d{1,15}(\.\d+)?$/.test(header)) return undefined;
  const seconds = Number(header);
  return seconds < FIRST_TIMESTAMP_S ? seconds * 1_000 : Math.max(0, seconds * 1_000 - wallNowMs);
};

const oneOf = (value: string | string[] | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;
