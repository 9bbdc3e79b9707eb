import { seededRandom } from "@tulle/testing";
import { balanced, balancedSet, sendInTurn } from "@tulle/testing/balancing";
import { expect, test } from "vitest";
import { FiguresKeeper } from "./figures-keeper.ts";
import { RoundRobin } from "./round-robin.ts";
import { Weights } from "./weights.ts";

const create = (seed: number) =>
  new RoundRobin({ weights: new Weights(undefined), keeper: new FiguresKeeper(10_000), random: seededRandom(seed) });

test("visits every endpoint once before it visits one again", () => {
  const picker = create(3);
  const candidates = balancedSet(4);
  const visited = Array.from({ length: 8 }, () => picker.pick(candidates, undefined, 0)?.endpoint.id);
  expect(new Set(visited.slice(0, 4)).size).toBe(4);
  expect(visited.slice(4)).toEqual(visited.slice(0, 4));
});

test("does not begin at the same endpoint in every process", () => {
  const candidates = balancedSet(5);
  const first = new Set(Array.from({ length: 50 }, (_, seed) => create(seed).pick(candidates, undefined, 0)));
  expect(first.size).toBe(5);
});

test("gives endpoints of different weights their shares, evenly spaced", () => {
  const candidates = [balanced("a", { weight: 3 }), balanced("b"), balanced("c")];
  const counts = sendInTurn(create(1), candidates, 500);
  expect(counts.get("a")).toBeGreaterThan(295);
  expect(counts.get("a")).toBeLessThan(305);
  expect(counts.get("b")).toBeGreaterThan(95);
  expect(counts.get("b")).toBeLessThan(105);
});

test("goes on in order when one endpoint leaves", () => {
  const picker = create(3);
  const [first, second, third] = balancedSet(3);
  picker.pick([first!, second!, third!], undefined, 0);
  const visited = Array.from({ length: 4 }, () => picker.pick([first!, third!], undefined, 0)?.endpoint.id);
  expect(visited.filter((id) => id === "a")).toHaveLength(2);
});
