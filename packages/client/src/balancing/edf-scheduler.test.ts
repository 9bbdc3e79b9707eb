import { seededRandom } from "@tulle/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EdfScheduler } from "./edf-scheduler.ts";

const weightsOf = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 });

describe("earliest deadline first", () => {
  test("has nothing to pick of nothing", () => {
    const none = new EdfScheduler<string>([], () => 1, seededRandom(1));
    expect(none.pick(() => 1)).toBeUndefined();
  });

  test("gives each value its share, off by no more than a pick for each value, however often it is asked", () => {
    fc.assert(
      fc.property(weightsOf, fc.integer(), fc.integer({ min: 1, max: 400 }), (weights, seed, picks) => {
        const values = weights.map((weight, place) => ({ weight, place }));
        const scheduler = new EdfScheduler(values, ({ weight }) => weight, seededRandom(seed));
        const counts = weights.map(() => 0);
        for (let pick = 0; pick < picks; pick++) {
          const { place } = scheduler.pick(({ weight }) => weight)!;
          counts[place] = counts[place]! + 1;
        }
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        for (const [place, count] of counts.entries()) {
          expect(Math.abs(count - (picks * weights[place]!) / total)).toBeLessThan(1 + weights.length);
        }
      }),
    );
  });

  test("spaces a heavy value's picks instead of making them in a row", () => {
    const scheduler = new EdfScheduler(["heavy", "one", "two"], weightOf, seededRandom(3));
    const picked = Array.from({ length: 40 }, () => scheduler.pick(weightOf));
    expect(picked.join(" ")).not.toMatch(/(heavy ){4}/);
    expect(picked.filter((each) => each === "heavy")).toHaveLength(20);
  });

  test("follows weights that change", () => {
    const scheduler = new EdfScheduler(["a", "b"], () => 1, seededRandom(4));
    const onlyA = (value: string): number => (value === "a" ? 99 : 1);
    for (let pick = 0; pick < 20; pick++) scheduler.pick(onlyA);
    const picked = Array.from({ length: 100 }, () => scheduler.pick(onlyA));
    expect(picked.filter((each) => each === "a").length).toBeGreaterThanOrEqual(98);
  });

  test("starts clients at different places", () => {
    const values = ["a", "b", "c", "d"];
    const firsts = Array.from({ length: 50 }, (_, seed) =>
      new EdfScheduler(values, () => 1, seededRandom(seed)).pick(() => 1),
    );
    expect(new Set(firsts).size).toBe(4);
  });
});

const weightOf = (value: string): number => (value === "heavy" ? 2 : 1);

describe("another list", () => {
  const weights: Record<string, number> = { a: 5, b: 3, c: 2, d: 4, e: 1 };
  const weightOf = (value: string): number => weights[value.slice(0, 1)] ?? 1;
  const turns = (scheduler: EdfScheduler<string>, count: number) =>
    Array.from({ length: count }, () => scheduler.pick(weightOf) ?? "");

  test("with the same values changes no turn", () => {
    const [one, other] = [1, 1].map((seed) => new EdfScheduler(["a", "b", "c"], weightOf, seededRandom(seed)));
    if (one === undefined || other === undefined) throw new Error("there are two");
    for (let round = 0; round < 20; round++) {
      expect(turns(one, 3)).toEqual(turns(other, 3));
      one.update(["a", "b", "c"], weightOf);
    }
  });

  test("lets what stands where another stood take its turns", () => {
    const [one, other] = [1, 1].map((seed) => new EdfScheduler(["a", "b", "c"], weightOf, seededRandom(seed)));
    if (one === undefined || other === undefined) throw new Error("there are two");
    one.update(["a", "b again", "c"], weightOf);
    expect(turns(one, 50)).toEqual(turns(other, 50).map((value) => (value === "b" ? "b again" : value)));
  });

  test("keeps the proportions of the weights, whatever came and went before", () => {
    const random = seededRandom(9);
    const scheduler = new EdfScheduler<string>(["a"], weightOf, random);
    for (let change = 0; change < 300; change++) {
      const list = Object.keys(weights).filter(() => random() < 0.6);
      scheduler.update(list, weightOf);
      const allowed = list.length === 0 ? [""] : list;
      expect(turns(scheduler, 20).filter((value) => !allowed.includes(value))).toEqual([]);
    }
    scheduler.update(Object.keys(weights), weightOf);
    const counts = Map.groupBy(turns(scheduler, 1_500), (value) => value);
    for (const [value, weight] of Object.entries(weights)) {
      expect(Math.abs((counts.get(value)?.length ?? 0) - weight * 100)).toBeLessThanOrEqual(5);
    }
  });

  test("of another service altogether is another schedule", () => {
    const many = Array.from({ length: 200 }, (_, at) => `e${at}`);
    const scheduler = new EdfScheduler<string>(["a", "b"], weightOf, seededRandom(2));
    scheduler.update(many, weightOf);
    expect(new Set(turns(scheduler, 200))).toEqual(new Set(many));
  });
});
