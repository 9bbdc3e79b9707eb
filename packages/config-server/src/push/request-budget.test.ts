import { describe, expect, it } from "vitest";
import { fullBudget, type RequestBudget, withdraw } from "./request-budget.ts";

const policy = { burst: 3, perSecond: 2 };

/** How many requests pass at one moment. */
const drain = (budget: RequestBudget, nowMs: number): { readonly passed: number; readonly budget: RequestBudget } => {
  let [passed, left] = [0, budget];
  for (let next = withdraw(left, policy, nowMs); next !== undefined; next = withdraw(left, policy, nowMs)) {
    passed++;
    left = next;
  }
  return { passed, budget: left };
};

describe("the request budget", () => {
  it("lets a burst pass, then as many as time gives back, never more than a burst", () => {
    const first = drain(fullBudget(policy, 0), 0);
    const second = drain(first.budget, 1_000);
    const third = drain(second.budget, 1_400);
    const fourth = drain(third.budget, 60_000);
    expect([first, second, third, fourth].map(({ passed }) => passed)).toEqual([3, 2, 0, 3]);
  });

  it("gives nothing for a clock that goes back", () => {
    const { budget } = drain(fullBudget(policy, 1_000), 1_000);
    expect(withdraw(budget, policy, 0)).toBeUndefined();
  });
});
