import type { Clock } from "@tulle/time";
import { LRUCache } from "lru-cache";

/** How many certificates one identity may get. */
export interface IssueLimit {
  /** At once, when all processes of a service start again. Whole number from 1. @default 2000 */
  readonly burst: number;
  /** And then so many a second. Above 0. @default 20 */
  readonly perSecond: number;
}

/**
 * Room for 2,000 processes of one identity that start together, and for lives of minutes among as many; a hundredth of what
 * a core can sign, so that no identity takes the CA from the others.
 */
export const DEFAULT_ISSUE_LIMIT: IssueLimit = { burst: 2_000, perSecond: 20 };

/** Identities that are remembered; beyond it the one that asked longest ago has a full allowance again. */
const MAX_IDENTITIES = 10_000;

interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

/** Keeps one identity from taking the CA's time from all others: a token bucket per identity. */
export class IssueLimiter {
  readonly #limit: IssueLimit;
  readonly #clock: Clock;
  readonly #buckets = new LRUCache<string, Bucket>({ max: MAX_IDENTITIES });

  constructor(limit: IssueLimit, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** Takes one certificate from the identity's allowance. @returns false when there is none left. */
  take(spiffeId: string): boolean {
    const now = this.#clock.now();
    const { burst, perSecond } = this.#limit;
    const { tokens, atMs } = this.#buckets.get(spiffeId) ?? { tokens: burst, atMs: now };
    const filled = Math.min(burst, tokens + ((now - atMs) / 1_000) * perSecond);
    const enough = filled >= 1;
    this.#buckets.set(spiffeId, { tokens: enough ? filled - 1 : filled, atMs: now });
    return enough;
  }
}
