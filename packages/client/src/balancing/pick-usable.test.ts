import { seededRandom } from "@tulle/testing";
import { balancedSet } from "@tulle/testing/balancing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isPanic, pickUsable } from "./pick-usable.ts";
import { createPicker } from "./picker.ts";

const balancers = {
  "peak-ewma": { algorithm: "peak-ewma", decayMs: 10_000, defaultRttMs: 30 },
  "round-robin": { algorithm: "round-robin" },
  random: { algorithm: "random" },
  "least-request": {
    algorithm: "least-request",
    choiceCount: 2,
    selection: "n-choices",
    activeRequestBias: 1,
  },
  "ring-hash": {
    algorithm: "ring-hash",
    minimumRingSize: 1_024,
    maximumRingSize: 8_388_608,
    balanceFactor: undefined,
  },
  maglev: { algorithm: "maglev", tableSize: 251, balanceFactor: undefined },
} as const;

/** Endpoints of which those at the given places are ejected, or cannot be reached. */
const endpoints = (count: number, ejected: readonly number[], unreachable: readonly number[] = []) => {
  const set = balancedSet(count);
  for (const place of ejected) if (place < count) set[place]!.figures.outlier.ejectedUntilMs = 1_000;
  for (const place of unreachable) {
    if (place >= count) continue;
    set[place]!.figures.reach.failures = 1;
    set[place]!.figures.reach.avoidedUntilMs = 1_000;
  }
  return set;
};
const places = fc.array(fc.nat(7), { maxLength: 8 });

describe.each(Object.entries(balancers))("among endpoints in trouble, %s", (_, balancer) => {
  test("picks no ejected and no unreachable one while another is left", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 8 }), places, places, (seed, count, ejected, unreachable) => {
        const set = endpoints(count, ejected, unreachable);
        const picked = pickUsable(createPicker(balancer, { random: seededRandom(seed) }), set, undefined, 500, 0);
        const good = set.filter((_each, place) => !ejected.includes(place) && !unreachable.includes(place));
        if (good.length > 0) expect(good).toContain(picked);
        else expect(picked).toBeDefined();
      }),
    );
  });

  test("takes a tried one only when all are tried or in trouble", () => {
    const picker = createPicker(balancer, { random: seededRandom(1) });
    const set = endpoints(3, [0]);
    for (let pick = 0; pick < 20; pick++) {
      expect(pickUsable(picker, set, new Set(["b"]), 500, 0)?.endpoint.id).toBe("c");
    }
  });
});

describe("panic", () => {
  test.each([
    [10, 5, 50, false],
    [10, 6, 50, true],
    [2, 1, 50, false],
    [3, 2, 50, true],
    [10, 10, 0, false],
    [0, 0, 50, false],
  ])("of %i reachable endpoints, %i ejected, threshold %i %%: %s", (reachable, ejected, threshold, panics) => {
    expect(isPanic(reachable, ejected, threshold)).toBe(panics);
  });

  test("takes from nobody its turn", () => {
    const picker = createPicker(balancers["round-robin"], { random: seededRandom(3) });
    const set = endpoints(4, [0, 1, 2, 3]);
    const picks = Array.from({ length: 4 }, () => pickUsable(picker, set, undefined, 500, 50)?.endpoint.id);
    expect(picks.toSorted()).toEqual(["a", "b", "c", "d"]);
  });

  test("spreads the calls over ejected endpoints too, but not over unreachable ones", () => {
    const picker = createPicker(balancers.random, { random: seededRandom(3) });
    const set = endpoints(5, [0, 1, 2], [4]);
    const picks = new Set(Array.from({ length: 200 }, () => pickUsable(picker, set, undefined, 500, 50)?.endpoint.id));
    expect(picks).toEqual(new Set(["a", "b", "c", "d"]));
  });
});
