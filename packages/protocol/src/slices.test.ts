import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { sliceEntries } from "./slices.ts";

const itself = (id: string): string => id;
const ids = (count: number): string[] => Array.from({ length: count }, (_, number) => `reviews-${number}`);
const changed = <T>(a: ReadonlyMap<string, readonly T[]>, b: ReadonlyMap<string, readonly T[]>): string[] =>
  [...new Set([...a.keys(), ...b.keys()])].filter(
    (leaf) => JSON.stringify(a.get(leaf)) !== JSON.stringify(b.get(leaf)),
  );

describe("sliceEntries", () => {
  test("an empty set is an empty root", () => {
    expect([...sliceEntries([], itself)]).toEqual([["-", []]]);
  });

  test("up to the bound all entries are in the root, ordered by id", () => {
    expect([...sliceEntries(["b", "c", "a"], itself, 3)]).toEqual([["-", ["a", "b", "c"]]]);
  });

  test("above the bound the root is split by the bits of SHA-256", () => {
    // The hashes begin with ca97 (1100), 3e23 (0011), 2e7d (0010), 18ac (0001).
    expect([...sliceEntries(["a", "b", "c", "d"], itself, 2)]).toEqual([
      ["000", ["d"]],
      ["001", ["b", "c"]],
      ["1", ["a"]],
    ]);
  });

  test("two entries with one id are refused", () => {
    expect(() => sliceEntries(["a", "b", "a"], itself)).toThrow(
      new RangeError('two entries have the id "a"; ids must be unique'),
    );
  });

  property.prop([
    fc.uniqueArray(fc.string(), { maxLength: 60 }),
    fc.infiniteStream(fc.nat()),
    fc.integer({ min: 1, max: 9 }),
  ])("is the same whatever the order, loses nothing, and keeps the bound", (entries, dice, max) => {
    const slices = sliceEntries(entries, itself, max);
    const shuffled = entries
      .map((entry) => ({ entry, at: dice.next().value ?? 0 }))
      .sort((a, b) => a.at - b.at)
      .map(({ entry }) => entry);
    expect(sliceEntries(shuffled, itself, max)).toEqual(slices);
    expect([...slices.values()].flat().sort()).toEqual([...entries].sort());
    expect(Math.max(...[...slices.values()].map((slice) => slice.length))).toBeLessThanOrEqual(max);
  });

  test("a restart under the same id changes one slice", () => {
    const before = ids(1_000).map((id) => ({ id, port: 1 }));
    const after = before.map((each) => (each.id === "reviews-500" ? { ...each, port: 2 } : each));
    expect(
      changed(
        sliceEntries(before, ({ id }) => id),
        sliceEntries(after, ({ id }) => id),
      ),
    ).toHaveLength(1);
  });

  test("a restart under a new id changes two slices", () => {
    const before = ids(1_000);
    const after = before.map((id) => (id === "reviews-500" ? "reviews-new" : id));
    expect(changed(sliceEntries(before, itself), sliceEntries(after, itself))).toHaveLength(2);
  });
});
