import type { EffectiveRetryBudget } from "@tulle/policy";
import { SlidingSum } from "@tulle/time";

const SLOTS = 10;
/** What one retry costs, in whole tokens: a call deposits `ratio` of it, without the drift of fractions. */
const PRICE = 1_000;

/**
 * A budget of retries and hedges: within any `ttlMs` at most `ratio` of the calls, or `minPerSecond` where that is more, so that
 * services with little traffic can retry. Unlike in Finagle and Linkerd the floor is not added to the share: see
 * docs/decisions. Charged when a retry is scheduled, not when it is sent, so that a wave of failures cannot spend the
 * same deposit twice.
 */
export class RetryBudget {
  #policy: EffectiveRetryBudget;
  /** By the tenth of the time-to-live in which they were made. */
  readonly #deposits: SlidingSum;
  readonly #withdrawals: SlidingSum;
  /** Withdrawals that were refused. */
  exhausted = 0;

  constructor(policy: EffectiveRetryBudget, nowMs: number) {
    this.#policy = policy;
    this.#deposits = new SlidingSum(SLOTS, nowMs);
    this.#withdrawals = new SlidingSum(SLOTS, nowMs);
  }

  /** Takes a new policy; what was deposited stays. */
  reconfigure(policy: EffectiveRetryBudget): void {
    this.#policy = policy;
  }

  /** Notes one call. */
  deposit(nowMs: number): void {
    this.#deposits.add(Math.round(this.#policy.ratio * PRICE), nowMs, this.#policy.ttlMs);
  }

  /** Pays for one retry, or refuses it. */
  tryWithdraw(nowMs: number): boolean {
    if (this.balance(nowMs) < 1) {
      this.exhausted++;
      return false;
    }
    this.charge(nowMs);
    return true;
  }

  /** Takes the price of one more retry, covered or not: what was spent already must be paid for. */
  charge(nowMs: number): void {
    this.#withdrawals.add(PRICE, nowMs, this.#policy.ttlMs);
  }

  /** Whole retries that could be paid for now. */
  balance(nowMs: number): number {
    const { minPerSecond, ttlMs } = this.#policy;
    this.#deposits.forget(nowMs, ttlMs);
    this.#withdrawals.forget(nowMs, ttlMs);
    const earned = Math.max(this.#deposits.total, minPerSecond * ttlMs);
    return Math.max(0, Math.floor((earned - this.#withdrawals.total) / PRICE));
  }
}
