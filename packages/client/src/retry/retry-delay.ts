import type { EffectiveRetry } from "@tulle/policy";
import type { Random } from "@tulle/time";

/** A server that asks for a longer wait than this is not waited for (Envoy, Linkerd): 300 s. */
export const MAX_RETRY_AFTER_MS = 300_000;

/**
 * How long to wait before the n-th retry, from 1: full jitter, U[0, base × 2^(n-1)] up to `backoffMaxMs`, as Envoy does. A
 * server's `Retry-After` is waited for and stretched by up to a half, so that those who were told the same do not come back
 * together. `undefined`: the server asked for longer than anybody waits.
 */
export const retryDelay = (
  policy: EffectiveRetry,
  retry: number,
  retryAfterMs: number | undefined,
  random: Random,
): number | undefined => {
  if (retryAfterMs !== undefined) {
    return retryAfterMs > MAX_RETRY_AFTER_MS ? undefined : retryAfterMs * (1 + random() / 2);
  }
  return random() * Math.min(policy.backoffBaseMs * 2 ** (retry - 1), policy.backoffMaxMs);
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
