import { expect, test } from "vitest";
import { takeTurns } from "./take-turns.ts";

test("contenders take turns, the first round warms up, and the first contender is what ratios are to", () => {
  const order: string[] = [];
  const work = (name: string) => ({
    name,
    run: (turn: number) => {
      order.push(`${name}${turn}`);
      return turn;
    },
  });
  const costs = takeTurns([work("a"), work("b")], { rounds: 2, runs: 2 });
  expect(order).toEqual(["a0", "a1", "b0", "b1", "a0", "a1", "b0", "b1", "a0", "a1", "b0", "b1"]);
  expect(costs.map(({ name }) => name)).toEqual(["a", "b"]);
});
