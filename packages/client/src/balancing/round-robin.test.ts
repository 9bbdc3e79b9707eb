import { seededRandom } from "@tulle/testing";
import { expect, test } from "vitest";
import { balancedSet } from "./picker.contract.ts";
import { RoundRobin } from "./round-robin.ts";

test("visits every endpoint once before it visits one again", () => {
  const picker = new RoundRobin(seededRandom(3));
  const candidates = balancedSet(4);
  const visited = Array.from({ length: 8 }, () => picker.pick(candidates, undefined, 0)?.endpoint.id);
  expect(new Set(visited.slice(0, 4)).size).toBe(4);
  expect(visited.slice(4)).toEqual(visited.slice(0, 4));
});

test("does not begin at the same endpoint in every process", () => {
  const candidates = balancedSet(5);
  const first = new Set(
    Array.from({ length: 50 }, (_, seed) => new RoundRobin(seededRandom(seed)).pick(candidates, undefined, 0)),
  );
  expect(first.size).toBe(5);
});
