import type { EffectiveRetryBudget } from "@tulle/policy";

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
  readonly #deposits: Float64Array = new Float64Array(SLOTS);
  readonly #withdrawals: Float64Array = new Float64Array(SLOTS);
  #slot = 0;
  #slotStartMs: number;
  #deposited = 0;
  #withdrawn = 0;
  /** Withdrawals that were refused. */
  exhausted = 0;

  constructor(policy: EffectiveRetryBudget, nowMs: number) {
    this.#policy = policy;
    this.#slotStartMs = nowMs;
  }

  /** Takes a new policy; what was deposited stays. */
  reconfigure(policy: EffectiveRetryBudget): void {
    this.#policy = policy;
  }

  /** Notes one call. */
  deposit(nowMs: number): void {
    this.#forget(nowMs);
    const tokens = Math.round(this.#policy.ratio * PRICE);
    this.#deposits[this.#slot] = (this.#deposits[this.#slot] ?? 0) + tokens;
    this.#deposited += tokens;
  }

  /** Pays for one retry, or refuses it. */
  tryWithdraw(nowMs: number): boolean {
    if (this.balance(nowMs) < 1) {
      this.exhausted++;
      return false;
    }
    this.#withdraw();
    return true;
  }

  /** Takes the price of one more retry, covered or not: what was spent already must be paid for. */
  charge(nowMs: number): void {
    this.#forget(nowMs);
    this.#withdraw();
  }

  /** Whole retries that could be paid for now. */
  balance(nowMs: number): number {
    this.#forget(nowMs);
    const floor = this.#policy.minPerSecond * this.#policy.ttlMs;
    return Math.max(0, Math.floor((Math.max(this.#deposited, floor) - this.#withdrawn) / PRICE));
  }

  #withdraw(): void {
    this.#withdrawals[this.#slot] = (this.#withdrawals[this.#slot] ?? 0) + PRICE;
    this.#withdrawn += PRICE;
  }

  #forget(nowMs: number): void {
    const slotMs = this.#policy.ttlMs / SLOTS;
    if (nowMs - this.#slotStartMs < slotMs) return;
    const passed = Math.floor((nowMs - this.#slotStartMs) / slotMs);
    this.#slotStartMs += passed * slotMs;
    for (let step = 0; step < Math.min(passed, SLOTS); step++) {
      this.#slot = (this.#slot + 1) % SLOTS;
      this.#deposited -= this.#deposits[this.#slot] ?? 0;
      this.#withdrawn -= this.#withdrawals[this.#slot] ?? 0;
      this.#deposits[this.#slot] = 0;
      this.#withdrawals[this.#slot] = 0;
    }
  }
}
