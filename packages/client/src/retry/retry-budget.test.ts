import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RetryBudget } from "./retry-budget.ts";

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

  test("grants the share or the floor, whichever is more, and never both", () => {
    const quiet = new RetryBudget(policy, 0);
    for (let call = 0; call < 400; call++) quiet.deposit(0);
    expect(spendAll(quiet, 0)).toBe(100);
    const busy = new RetryBudget(policy, 0);
    for (let call = 0; call < 1_000; call++) busy.deposit(0);
    expect(spendAll(busy, 0)).toBe(200);
  });

  test("refuses when it is empty, and counts it", () => {
    const budget = new RetryBudget(withoutReserve, 0);
    expect(budget.tryWithdraw(0)).toBe(false);
    expect(budget.exhausted).toBe(1);
  });

  test("takes what was spent already from the retries that follow", () => {
    const budget = new RetryBudget(withoutReserve, 0);
    for (let call = 0; call < 10; call++) budget.deposit(0);
    budget.charge(0);
    expect(budget.balance(0)).toBe(1);
    budget.charge(0);
    budget.charge(0);
    expect(budget.balance(0)).toBe(0);
    budget.deposit(0);
    expect(budget.balance(0)).toBe(0);
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

  test("never grants more than the share of all calls, or the floor of the time that passed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.nat(3_000)), { maxLength: 300 }),
        fc.boolean(),
        (steps, floored) => {
          const ttlMs = 1_000;
          const minPerSecond = floored ? 2 : 0;
          const budget = new RetryBudget({ ratio: 0.2, minPerSecond, ttlMs }, 0);
          let nowMs = 0;
          let deposits = 0;
          const withdrawals: number[] = [];
          for (const [withdraws, passedMs] of steps) {
            nowMs += passedMs;
            if (!withdraws) {
              budget.deposit(nowMs);
              deposits++;
            } else if (budget.tryWithdraw(nowMs)) {
              withdrawals.push(nowMs);
            }
            if (floored) {
              // Nine tenths of the time-to-live lie within the slots that count, wherever the present one began.
              const recent = withdrawals.filter((at) => at > nowMs - ttlMs * 0.9).length;
              expect(recent).toBeLessThanOrEqual(Math.max(minPerSecond, deposits * 0.2));
            } else {
              expect(withdrawals.length).toBeLessThanOrEqual(deposits * 0.2);
            }
          }
        },
      ),
    );
  });
});
