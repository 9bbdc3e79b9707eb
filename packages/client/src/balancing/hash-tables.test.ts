import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { corpus } from "../../../policy/test/corpus.ts";
import type { Hash64 } from "../hashing/xxh64.ts";
import { xxh64 } from "../hashing/xxh64.ts";
import { buildRing, type HashedHost } from "./hash-ring.ts";
import { buildMaglevTable } from "./maglev-table.ts";

interface Vectors {
  readonly maglev: readonly {
    readonly keys: string[];
    readonly weights: number[];
    readonly size: number;
    readonly expect: number[];
  }[];
  readonly ring: readonly {
    readonly keys: string[];
    readonly perHost: number;
    readonly expect: [string, string][];
    readonly picks: [string, string][];
  }[];
}

const published = corpus<Vectors>("envoy/hash-vectors.json");
const vectors = published.read();

const halvesOf = (decimal: string): Hash64 => {
  const value = BigInt(decimal);
  return { high: Number(value >> 32n), low: Number(value & 0xffffffffn) };
};
const decimalOf = ({ high, low }: Hash64): string => ((BigInt(high) << 32n) | BigInt(low)).toString();
const equalHosts = (keys: readonly string[]): HashedHost[] => keys.map((key) => ({ key, weight: 1 }));
const hostNames = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `10.0.${at >> 8}.${at & 255}:8080`);
const keysOf = (count: number): Hash64[] => Array.from({ length: count }, (_, at) => xxh64(`key-${at}`));

describe.skipIf(published.missing)(`Envoy's own tables${published.note}`, () => {
  test("rings are equal, point by point", () => {
    for (const { keys, perHost, expect: expected } of vectors!.ring) {
      const size = keys.length * perHost;
      const ring = buildRing(equalHosts(keys), { minimum: size, maximum: size });
      const points = Array.from({ length: ring.size }, (_, place) => [
        keys[ring.ownerAt(place)],
        decimalOf(ring.hashAt(place)),
      ]);
      expect(points).toEqual(expected);
    }
  });

  test("hashes land on the same hosts of a ring", () => {
    for (const { keys, perHost, picks } of vectors!.ring) {
      const size = keys.length * perHost;
      const ring = buildRing(equalHosts(keys), { minimum: size, maximum: size });
      for (const [hash, host] of picks) expect(keys[ring.ownerAt(ring.placeOf(halvesOf(hash)))]).toBe(host);
    }
  });

  test("Maglev tables are equal, place by place", () => {
    for (const { keys, weights, size, expect: expected } of vectors!.maglev) {
      const table = buildMaglevTable(
        keys.map((key, at) => ({ key, weight: weights[at]! })),
        size,
      );
      expect(Array.from({ length: size }, (_, place) => table.ownerAt(place))).toEqual(expected);
    }
  });
});

describe("a ring", () => {
  const envoy = { minimum: 1_024, maximum: 8_388_608 };

  test.each([
    [3, 1_026],
    [1_000, 2_000],
    [2_000, 2_000],
  ])("of %i equal hosts has %i points: a whole number each", (count, size) => {
    expect(buildRing(equalHosts(hostNames(count)), envoy).size).toBe(size);
  });

  test("is cut at its maximum", () => {
    const hosts = [...equalHosts(hostNames(9)), { key: "heavy", weight: 10_000 }];
    expect(buildRing(hosts, { minimum: 1_024, maximum: 4_096 }).size).toBe(4_096);
  });

  test("gives hosts points by their weights", () => {
    const hosts = [
      { key: "a", weight: 1 },
      { key: "b", weight: 3 },
    ];
    const ring = buildRing(hosts, envoy);
    const owned = Array.from({ length: ring.size }, (_, place) => ring.ownerAt(place)).filter((owner) => owner === 1);
    expect(owned.length / ring.size).toBeCloseTo(0.75, 3);
  });

  test("moves only the keys of a host that leaves", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), fc.nat(11), (count, place) => {
        const names = hostNames(count);
        const gone = names[place % count]!;
        const rest = names.filter((name) => name !== gone);
        // Equal rings but for the host: the same number of points for each.
        const per = 100;
        const before = buildRing(equalHosts(names), { minimum: count * per, maximum: count * per });
        const after = buildRing(equalHosts(rest), { minimum: rest.length * per, maximum: rest.length * per });
        for (const hash of keysOf(200)) {
          const owner = names[before.ownerAt(before.placeOf(hash))];
          if (owner !== gone) expect(rest[after.ownerAt(after.placeOf(hash))]).toBe(owner);
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe("a Maglev table", () => {
  const SIZE = 65_537;

  test("gives equal hosts equal shares, to within one place in a hundred", () => {
    const table = buildMaglevTable(equalHosts(hostNames(10)), SIZE);
    const counts = new Array<number>(10).fill(0);
    for (let place = 0; place < SIZE; place++) counts[table.ownerAt(place)] = counts[table.ownerAt(place)]! + 1;
    expect(Math.max(...counts) / Math.min(...counts)).toBeLessThan(1.01);
  });

  test("gives hosts places by their weights", () => {
    const hosts = [
      { key: "a", weight: 1 },
      { key: "b", weight: 4 },
    ];
    const table = buildMaglevTable(hosts, SIZE);
    let heavy = 0;
    for (let place = 0; place < SIZE; place++) heavy += table.ownerAt(place);
    expect(heavy / SIZE).toBeCloseTo(0.8, 2);
  });

  test("moves few keys of the hosts that stay when one of ten leaves: less than a tenth on top of the lost ones", () => {
    const names = hostNames(10);
    const before = buildMaglevTable(equalHosts(names), SIZE);
    const after = buildMaglevTable(equalHosts(names.slice(1)), SIZE);
    const keys = keysOf(5_000);
    const moved = keys.filter((hash) => {
      const owner = before.ownerAt(before.placeOf(hash));
      return owner !== 0 && after.ownerAt(after.placeOf(hash)) !== owner - 1;
    });
    expect(moved.length / keys.length).toBeLessThan(0.1);
  });

  test("has nobody to offer where there is no host", () => {
    expect(buildMaglevTable([], 7).size).toBe(7);
  });
});
