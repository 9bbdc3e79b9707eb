import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MIN_CONCURRENT_RETRIES, RetryBudget } from "./retry-budget.ts";

const policy = { ratio: 0.2, minPerSecond: 10, ttlMs: 10_000 };
const withoutReserve = { ...policy, minPerSecond: 0 };

const spendAll = (budget: RetryBudget, nowMs: number): number => {
  let granted = 0;
  while (budget.balance(nowMs) > 0 && budget.tryWithdraw(nowMs)) granted++;
  return granted;
};

describe("RetryBudget", () => {
  test("grants its reserve when there is no traffic", () => {
    expect(spendAll(new RetryBudget(policy, 0), 0)).toBe(100);
  });

  test("grants a fifth of the calls", () => {
    const budget = new RetryBudget(withoutReserve, 0);
    for (let call = 0; call < 50; call++) budget.deposit(0);
    expect(spendAll(budget, 0)).toBe(10);
  });

  test("refuses when it is empty, but for a few at a time", () => {
    const budget = new RetryBudget(withoutReserve, 0);
    for (let retry = 0; retry < MIN_CONCURRENT_RETRIES; retry++) expect(budget.tryWithdraw(0)).toBe(true);
    expect(budget.tryWithdraw(0)).toBe(false);
    expect(budget.exhausted).toBe(1);
    budget.release();
    expect(budget.tryWithdraw(0)).toBe(true);
  });

  test("forgets deposits after their time to live", () => {
    const budget = new RetryBudget(withoutReserve, 0);
    for (let call = 0; call < 50; call++) budget.deposit(0);
    expect(budget.balance(8_999)).toBe(10);
    expect(budget.balance(10_000)).toBe(0);
  });

  test("keeps its deposits when the policy changes", () => {
    const budget = new RetryBudget(withoutReserve, 0);
    for (let call = 0; call < 50; call++) budget.deposit(0);
    budget.reconfigure({ ...withoutReserve, ratio: 0.5 });
    expect(budget.balance(0)).toBe(10);
    for (let call = 0; call < 50; call++) budget.deposit(0);
    expect(budget.balance(0)).toBe(35);
  });

  test("never grants more than deposits, reserve and the few at a time allow", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(3_000)), { maxLength: 300 }), (steps) => {
        const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 1, ttlMs: 1_000 }, 0);
        let nowMs = 0;
        const deposits: number[] = [];
        const withdrawals: number[] = [];
        for (const [withdraws, passedMs] of steps) {
          nowMs += passedMs;
          if (!withdraws) {
            budget.deposit(nowMs);
            deposits.push(nowMs);
          } else if (budget.balance(nowMs) >= 1 && budget.tryWithdraw(nowMs)) {
            budget.release();
            withdrawals.push(nowMs);
          }
          const within = (times: number[]) => times.filter((at) => at > nowMs - 900).length;
          expect(within(withdrawals)).toBeLessThanOrEqual(deposits.length * 0.2 + 2);
        }
      }),
    );
  });
});
