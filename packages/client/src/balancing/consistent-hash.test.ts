import { seededRandom } from "@tulle/testing";
import { balanced, balancedSet } from "@tulle/testing/balancing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newFigures } from "../endpoints/endpoint-figures.ts";
import { xxh64 } from "../hashing/xxh64.ts";
import { ConsistentHash, type ConsistentHashOptions } from "./consistent-hash.ts";
import { FiguresKeeper } from "./figures-keeper.ts";
import { buildRing } from "./hash-ring.ts";
import { buildMaglevTable } from "./maglev-table.ts";
import { Weights } from "./weights.ts";

const tables: Record<string, ConsistentHashOptions["build"]> = {
  "ring-hash": (hosts) => buildRing(hosts, { minimum: 1_024, maximum: 8_388_608 }),
  maglev: (hosts) => buildMaglevTable(hosts, 65_537),
};
const create = (name: string, changes: Partial<ConsistentHashOptions> = {}) =>
  new ConsistentHash({
    name,
    build: tables[name]!,
    balanceFactor: undefined,
    weights: new Weights(undefined),
    keeper: new FiguresKeeper(10_000),
    random: seededRandom(1),
    ...changes,
  });
const keys = Array.from({ length: 1_000 }, (_, at) => xxh64(`user-${at}`));

describe.each(Object.keys(tables))("%s", (name) => {
  test("sends equal keys to equal endpoints, whatever order a client knows them in", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }), (order) => {
        const set = balancedSet(5);
        const shuffled = order.map((place) => set[place]!);
        const [one, other] = [create(name), create(name, { random: seededRandom(2) })];
        for (const key of keys.slice(0, 100)) {
          expect(other.pick(shuffled, undefined, 0, key)?.endpoint.id).toBe(
            one.pick(set, undefined, 0, key)?.endpoint.id,
          );
        }
      }),
      { numRuns: 10 },
    );
  });

  test("moves only the keys of an endpoint that must be avoided", () => {
    const picker = create(name);
    const set = balancedSet(5);
    for (const key of keys) {
      const before = picker.pick(set, undefined, 0, key)?.endpoint.id;
      const after = picker.pick(set, new Set(["c"]), 0, key)?.endpoint.id;
      if (before === "c") expect(after).not.toBe("c");
      else expect(after).toBe(before);
    }
  });

  test("spreads the keys of an avoided endpoint over the others", () => {
    const picker = create(name);
    const set = balancedSet(5);
    const orphans = keys.filter((key) => picker.pick(set, undefined, 0, key)?.endpoint.id === "c");
    const homes = new Set(orphans.map((key) => picker.pick(set, new Set(["c"]), 0, key)?.endpoint.id));
    expect(homes.size).toBe(4);
  });

  test("a call without a key goes anywhere", () => {
    const picker = create(name);
    const set = balancedSet(4);
    const picks = Array.from({ length: 200 }, () => picker.pick(set, undefined, 0));
    expect(new Set(picks).size).toBe(4);
  });

  test("with bounded load no endpoint has more than its share of the calls in flight, however hot a key is", () => {
    const picker = create(name, { balanceFactor: 1.25 });
    const set = balancedSet(5);
    for (let call = 1; call <= 500; call++) {
      picker.start(picker.pick(set, undefined, 0, keys[call % 2]!)!, 0);
      for (const { figures } of set) expect(figures.inFlight).toBeLessThanOrEqual(Math.ceil((1.25 * call) / 5));
    }
  });

  test("with bounded load a key keeps its endpoint while that has room", () => {
    const bounded = create(name, { balanceFactor: 2 });
    const plain = create(name);
    const set = balancedSet(5);
    for (const key of keys.slice(0, 100)) {
      expect(bounded.pick(set, undefined, 0, key)).toBe(plain.pick(set, undefined, 0, key));
    }
  });

  test("a newcomer that starts slowly gets a part of its keys, and more of the same by and by", () => {
    const weights = new Weights({ windowMs: 100_000, aggression: 1, minimumShare: 0.1 });
    const picker = create(name, { weights });
    const set = [...balancedSet(3), { ...balanced("new"), figures: newFigures(1_000_000) }];
    const keysAt = (nowMs: number) =>
      new Set(keys.filter((key) => picker.pick(set, undefined, nowMs, key)?.endpoint.id === "new"));
    const [early, later, grown] = [keysAt(1_000_000), keysAt(1_050_000), keysAt(1_100_000)];
    expect(early.size).toBeLessThan(later.size);
    expect(later.size).toBeLessThan(grown.size);
    expect([...early].every((key) => later.has(key))).toBe(true);
    expect([...later].every((key) => grown.has(key))).toBe(true);
  });
});
