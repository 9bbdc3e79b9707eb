import type { Clock } from "@tulle/time";
import { LRUCache } from "lru-cache";

/** Failed joins of one address that pass at once. */
export const FAILED_JOIN_BURST = 30;
/** And then so many a second. */
export const FAILED_JOINS_PER_SECOND = 1;
/** Addresses that are remembered; beyond it the longest unseen is forgotten. */
const MAX_ADDRESSES = 10_000;

/** Slows down whoever guesses at tokens: a token bucket of failures per address. Successful joins cost nothing. */
export interface JoinLimiter {
  mayTry(address: string): boolean;
  failed(address: string): void;
}

interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

/** Makes a limiter with all buckets full. */
export const createJoinLimiter = (clock: Clock): JoinLimiter => {
  const buckets = new LRUCache<string, Bucket>({ max: MAX_ADDRESSES });
  const tokens = (address: string): number => {
    const bucket = buckets.get(address);
    if (bucket === undefined) return FAILED_JOIN_BURST;
    const refilled = ((clock.now() - bucket.atMs) / 1000) * FAILED_JOINS_PER_SECOND;
    return Math.min(FAILED_JOIN_BURST, bucket.tokens + refilled);
  };
  return {
    mayTry: (address) => tokens(address) >= 1,
    failed: (address) => void buckets.set(address, { tokens: Math.max(0, tokens(address) - 1), atMs: clock.now() }),
  };
};
