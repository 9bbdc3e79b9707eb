import { seededRandom } from "@tulle/testing";
import { balanced, balancedSet, sendInTurn } from "@tulle/testing/balancing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChoiceOfN } from "./choice-of-n.ts";
import { FiguresKeeper } from "./figures-keeper.ts";
import { inFlightLoad, peakEwmaLoad } from "./load-measure.ts";
import { Weights } from "./weights.ts";

const weights = new Weights(undefined);
const keeper = new FiguresKeeper(10_000);

const create = (seed: number) =>
  new ChoiceOfN({
    name: "peak-ewma",
    choices: 2,
    loadOf: peakEwmaLoad({ decayMs: 10_000, defaultRttMs: 30 }, weights),
    keeper,
    random: seededRandom(seed),
  });

describe("the better of two choices", () => {
  test("never picks the most loaded of the endpoints when loads differ", () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { minLength: 2, maxLength: 5 }),
        (seed, rtts) => {
          const picker = create(seed);
          const candidates = rtts.map((rttMs, place) => {
            const one = balanced(`e${place}`);
            picker.start(one, 0);
            picker.end(one, 0, { rttMs, failed: false });
            return one;
          });
          const worst = candidates[rtts.indexOf(Math.max(...rtts))];
          for (let pick = 0; pick < 20; pick++) expect(picker.pick(candidates, undefined, 0)).not.toBe(worst);
        },
      ),
    );
  });

  test.each([2, 3, 5])("sends a slow one of %i endpoints a small share, and not nothing", (count) => {
    const counts = sendInTurn(create(11), balancedSet(count), 5_000, (id) => (id === "a" ? 200 : 5));
    const slow = (counts.get("a") ?? 0) / 5_000;
    expect(slow).toBeGreaterThan(0);
    expect(slow).toBeLessThan(0.25 / count);
  });

  test("calls a newcomer at once, though its siblings are fast", () => {
    const picker = create(5);
    const candidates = balancedSet(2);
    sendInTurn(picker, candidates, 100, () => 1);
    const all = [...candidates, balanced("new")];
    const picks = Array.from({ length: 10 }, () => picker.pick(all, undefined, 100)?.endpoint.id);
    expect(picks).toContain("new");
  });

  test("spreads a burst by what is in flight", () => {
    const picker = create(9);
    const candidates = balancedSet(3);
    sendInTurn(picker, candidates, 300);
    for (let call = 0; call < 90; call++) picker.start(picker.pick(candidates, undefined, 3_000)!, 3_000);
    for (const { figures } of candidates) {
      expect(figures.inFlight).toBeGreaterThan(20);
      expect(figures.inFlight).toBeLessThan(40);
    }
  });

  test("keeps away from an endpoint that fails at once", () => {
    const picker = create(2);
    const candidates = balancedSet(2);
    sendInTurn(picker, candidates, 50);
    const [bad] = candidates;
    picker.start(bad!, 500);
    picker.end(bad!, 500, { rttMs: 1, failed: true });
    const picks = Array.from({ length: 100 }, () => picker.pick(candidates, undefined, 1_000)?.endpoint.id);
    expect(new Set(picks)).toEqual(new Set(["b"]));
  });
});

describe("the best of several choices", () => {
  const byInFlight = (choices: number, seed: number) =>
    new ChoiceOfN({ name: "test", choices, loadOf: inFlightLoad(weights), keeper, random: seededRandom(seed) });

  test("compares as many different endpoints as it is told to", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 2, max: 9 }), (seed, choices) => {
        const candidates = balancedSet(10);
        for (const [place, { figures }] of candidates.entries()) figures.inFlight = place;
        const picker = byInFlight(choices, seed);
        // The `choices - 1` busiest ones can never be the best of `choices` different ones.
        const never = candidates.slice(10 - choices + 1);
        for (let pick = 0; pick < 30; pick++) expect(never).not.toContain(picker.pick(candidates, undefined, 0));
      }),
    );
  });

  test("finds the least loaded of all when it compares all", () => {
    const candidates = balancedSet(8);
    for (const [place, { figures }] of candidates.entries()) figures.inFlight = place === 5 ? 0 : 4;
    expect(byInFlight(Number.POSITIVE_INFINITY, 2).pick(candidates, undefined, 0)?.endpoint.id).toBe("f");
  });

  test("gives ties to chance", () => {
    const candidates = balancedSet(4);
    const picker = byInFlight(Number.POSITIVE_INFINITY, 2);
    const picks = Array.from({ length: 200 }, () => picker.pick(candidates, undefined, 0));
    expect(new Set(picks).size).toBe(4);
  });

  test("keeps the longest queue as short as the literature says: n balls in n bins, log log n / log d + O(1)", () => {
    const bins = 1_000;
    const longest = (choices: number): number => {
      const candidates = Array.from({ length: bins }, (_, place) => balanced(`e${place}`));
      const picker = byInFlight(choices, 5);
      for (let ball = 0; ball < bins; ball++) picker.start(picker.pick(candidates, undefined, 0)!, 0);
      return Math.max(...candidates.map(({ figures }) => figures.inFlight));
    };
    expect(longest(2)).toBeLessThanOrEqual(Math.ceil(Math.log2(Math.log(bins))) + 2);
    expect(longest(4)).toBeLessThanOrEqual(longest(2));
  });
});
