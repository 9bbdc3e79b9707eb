import type { EffectiveRetryBudget } from "@tulle/policy";

/** Retries at one moment that are allowed even when the budget is empty (Envoy's `min_retry_concurrency`). */
export const MIN_CONCURRENT_RETRIES = 3;

const SLOTS = 10;
/** What one retry costs, in whole tokens: a call deposits `ratio` of it, without the drift of fractions. */
const PRICE = 1_000;

/**
 * A leaky bucket of retries, as Finagle and Linkerd have it: each call deposits `ratio` of a retry, each retry withdraws
 * one, and both are forgotten after `ttlMs`. A reserve of `minPerSecond` lets services with little traffic retry. Charged
 * when a retry is scheduled, not when it is sent, so that a wave of failures cannot spend the same deposit twice.
 */
export class RetryBudget {
  #policy: EffectiveRetryBudget;
  /** Deposits less withdrawals, by the tenth of the time-to-live in which they were made. */
  readonly #slots: Float64Array = new Float64Array(SLOTS);
  #slot = 0;
  #slotStartMs: number;
  #sum = 0;
  #active = 0;
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
    this.#add(Math.round(this.#policy.ratio * PRICE));
  }

  /** Pays for one retry, or refuses it. A retry that was paid for must be given back to {@link release} at its end. */
  tryWithdraw(nowMs: number): boolean {
    const covered = this.balance(nowMs) >= 1;
    if (!covered && this.#active >= MIN_CONCURRENT_RETRIES) {
      this.exhausted++;
      return false;
    }
    if (covered) this.#add(-PRICE);
    this.#active++;
    return true;
  }

  /** A retry that was paid for has ended. */
  release(): void {
    this.#active--;
  }

  /** Whole retries that could be paid for now. */
  balance(nowMs: number): number {
    this.#forget(nowMs);
    const reserve = this.#policy.minPerSecond * this.#policy.ttlMs;
    return Math.max(0, Math.floor((this.#sum + reserve) / PRICE));
  }

  #add(tokens: number): void {
    this.#slots[this.#slot] = (this.#slots[this.#slot] ?? 0) + tokens;
    this.#sum += tokens;
  }

  #forget(nowMs: number): void {
    const slotMs = this.#policy.ttlMs / SLOTS;
    if (nowMs - this.#slotStartMs < slotMs) return;
    const passed = Math.floor((nowMs - this.#slotStartMs) / slotMs);
    this.#slotStartMs += passed * slotMs;
    if (passed >= SLOTS) {
      this.#slots.fill(0);
      this.#sum = 0;
      return;
    }
    for (let step = 0; step < passed; step++) {
      this.#slot = (this.#slot + 1) % SLOTS;
      this.#sum -= this.#slots[this.#slot] ?? 0;
      this.#slots[this.#slot] = 0;
    }
  }
}
