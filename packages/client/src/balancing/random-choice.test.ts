import { seededRandom } from "@tulle/testing";
import { balanced, sendInTurn } from "@tulle/testing/balancing";
import { expect, test } from "vitest";
import { newFigures } from "../endpoints/endpoint-figures.ts";
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

test("keeps the proportions of those that are left when some were tried", () => {
  const candidates = [balanced("a", { weight: 6 }), balanced("b", { weight: 3 }), balanced("c")];
  const picker = create(1);
  const calls = 10_000;
  let b = 0;
  for (let call = 0; call < calls; call++) {
    const picked = picker.pick(candidates, new Set(["a"]), 0)?.endpoint.id;
    expect(picked).not.toBe("a");
    if (picked === "b") b++;
  }
  expect(Math.abs(b - calls * 0.75)).toBeLessThan(5 * Math.sqrt(calls * 0.75 * 0.25));
});

test("a newcomer gets its share of a slow start, beside others of other weights", () => {
  const old = { ...balanced("old", { weight: 1 }), figures: newFigures(-100_000) };
  const young = balanced("young", { weight: 4 });
  const weights = new Weights({ windowMs: 10_000, aggression: 1, minimumShare: 0.1 });
  const picker = new RandomChoice({ weights, keeper: new FiguresKeeper(10_000), random: seededRandom(3) });
  const calls = 10_000;
  let picked = 0;
  // At half of its window it weighs 2 against 1.
  for (let call = 0; call < calls; call++) if (picker.pick([old, young], undefined, 5_000) === young) picked++;
  expect(Math.abs(picked - (calls * 2) / 3)).toBeLessThan(5 * Math.sqrt((calls * 2) / 9));
});
