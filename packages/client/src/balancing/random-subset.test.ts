import { seededRandom } from "@tulle/testing";
import { balanced, balancedSet, sendInTurn } from "@tulle/testing/balancing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { pickerContract } from "./picker.contract.ts";
import { type Balanced, createPicker, type Picker } from "./picker.ts";

const subsetting = (size: number, seed = 1): Picker =>
  createPicker({ algorithm: "round-robin", subsetSize: size }, { random: seededRandom(seed) });

const fleet = (count: number): Balanced[] => Array.from({ length: count }, (_, place) => balanced(`e${place}`));

/** Whom a picker calls in the course of many calls. */
const called = (picker: Picker, candidates: readonly Balanced[], tried?: ReadonlySet<string>): ReadonlySet<string> => {
  const ids = new Set<string>();
  for (let call = 0; call < 4 * candidates.length; call++) {
    const id = picker.pick(candidates, tried, call)?.endpoint.id;
    if (id !== undefined) ids.add(id);
  }
  return ids;
};

for (const algorithm of ["round-robin", "random"] as const) {
  pickerContract(`${algorithm} over a subset of five`, (random) =>
    createPicker({ algorithm, subsetSize: 5 }, { random }),
  );
}
pickerContract("peak-ewma over a subset of five", (random) =>
  createPicker({ algorithm: "peak-ewma", decayMs: 10_000, defaultRttMs: 30, subsetSize: 5 }, { random }),
);

test("a client calls as many endpoints as it should, and all where there are no more", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 6 }), fc.integer({ min: 1, max: 12 }), fc.nat(), (size, count, seed) => {
      expect(called(subsetting(size, seed), fleet(count)).size).toBe(Math.min(size, count));
    }),
    { numRuns: 50 },
  );
});

test("when an endpoint leaves or comes, a client exchanges one endpoint at most", () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 8, max: 30 }), fc.nat(29), (seed, count, leaver) => {
      const all = fleet(count);
      const left = all.toSpliced(leaver % count, 1);
      const before = called(subsetting(5, seed), all);
      const after = called(subsetting(5, seed), left);
      const gone = [...before].filter((id) => !after.has(id));
      expect(gone).toEqual(before.has(`e${leaver % count}`) ? [`e${leaver % count}`] : []);
    }),
    { numRuns: 50 },
  );
});

test("clients choose differently: together they call every endpoint, none much more than its share", () => {
  const all = fleet(20);
  const clients = new Map(all.map(({ endpoint }) => [endpoint.id, 0]));
  for (let seed = 0; seed < 400; seed++) {
    for (const id of called(subsetting(5, seed), all)) clients.set(id, (clients.get(id) ?? 0) + 1);
  }
  // 400 clients of 5 endpoints each: a binomial of mean 100 and standard deviation 8.7.
  for (const count of clients.values()) expect(Math.abs(count - 100)).toBeLessThan(4 * 8.7);
});

test("the registered order of endpoints does not matter", () => {
  const all = fleet(12);
  expect(called(subsetting(4), all.toReversed())).toEqual(called(subsetting(4), all));
});

test("a call goes outside the subset when each of it was tried, and to one endpoint at a time", () => {
  const all = fleet(10);
  const picker = subsetting(3);
  const tried = called(picker, all);
  const reserve = called(picker, all, tried);
  expect(reserve.size).toBe(1);
  for (const id of reserve) expect(tried.has(id)).toBe(false);
  expect(picker.pick(all, new Set(all.map(({ endpoint }) => endpoint.id)), 0)).toBeDefined();
});

test("turns go on where a change does not touch the subset", () => {
  const all = fleet(10);
  const picker = subsetting(2);
  const subset = called(picker, all);
  const outsider = all.findIndex(({ endpoint }) => !subset.has(endpoint.id));
  const first = picker.pick(all, undefined, 0)?.endpoint.id;
  const second = picker.pick(all.toSpliced(outsider, 1), undefined, 0)?.endpoint.id;
  expect(new Set([first, second])).toEqual(subset);
});

test("explanations name whom a client keeps in reserve", () => {
  const all = fleet(4);
  const picker = subsetting(2);
  const subset = called(picker, all);
  const reserve = picker.explain(all, 0).flatMap((each) => (each.reserve === true ? [each.endpoint] : []));
  expect(new Set([...reserve, ...subset]).size).toBe(4);
  expect(reserve.length).toBe(2);
  expect(
    subsetting(2)
      .explain(balancedSet(2), 0)
      .some(({ reserve: out }) => out === true),
  ).toBe(false);
});

test("the calls of a client are shared evenly within its subset", () => {
  const counts = [...sendInTurn(subsetting(2), fleet(6), 1_000).values()].filter((count) => count > 0);
  expect(counts).toEqual([500, 500]);
});
