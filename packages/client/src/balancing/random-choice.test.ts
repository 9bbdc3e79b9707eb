import { seededRandom } from "@tulle/testing";
import { balanced, sendInTurn } from "@tulle/testing/balancing";
import { expect, test } from "vitest";
import { FiguresKeeper } from "./figures-keeper.ts";
import { RandomChoice } from "./random-choice.ts";
import { Weights } from "./weights.ts";

const create = (seed: number) =>
  new RandomChoice({ weights: new Weights(undefined), keeper: new FiguresKeeper(10_000), random: seededRandom(seed) });

test.each([1, 2, 3, 4, 5])("respects weights within five standard deviations of the binomial (seed %i)", (seed) => {
  const candidates = [balanced("a", { weight: 6 }), balanced("b", { weight: 3 }), balanced("c")];
  const calls = 10_000;
  const counts = sendInTurn(create(seed), candidates, calls);
  for (const [id, share] of [
    ["a", 0.6],
    ["b", 0.3],
    ["c", 0.1],
  ] as const) {
    const deviation = Math.sqrt(calls * share * (1 - share));
    expect(Math.abs((counts.get(id) ?? 0) - calls * share)).toBeLessThan(5 * deviation);
  }
});
