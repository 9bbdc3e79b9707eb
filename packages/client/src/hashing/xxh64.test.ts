import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { corpus } from "../../../policy/test/corpus.ts";
import { compareHashes, type Hash64, unitOf, xxh64 } from "./xxh64.ts";

const numberOf = ({ high, low }: Hash64): bigint => (BigInt(high) << 32n) | BigInt(low);
const hex = (hash: Hash64): string => numberOf(hash).toString(16).padStart(16, "0");

const MASK = (1n << 64n) - 1n;
const [P1, P2, P3, P4, P5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;

/** The algorithm as its specification writes it, on whole 64-bit numbers. */
const specified = (bytes: Uint8Array, seed: bigint): bigint => {
  const wrap = (n: bigint): bigint => n & MASK;
  const rotate = (n: bigint, bits: bigint): bigint => wrap((n << bits) | (n >> (64n - bits)));
  const round = (acc: bigint, lane: bigint): bigint => wrap(rotate(wrap(acc + lane * P2), 31n) * P1);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let hash: bigint;
  if (bytes.length >= 32) {
    const acc = [wrap(seed + P1 + P2), wrap(seed + P2), seed, wrap(seed - P1)];
    for (; at + 32 <= bytes.length; at += 32) {
      for (const [lane, value] of acc.entries()) acc[lane] = round(value, view.getBigUint64(at + lane * 8, true));
    }
    const [a, b, c, d] = acc as [bigint, bigint, bigint, bigint];
    hash = wrap(rotate(a, 1n) + rotate(b, 7n) + rotate(c, 12n) + rotate(d, 18n));
    for (const value of acc) hash = wrap((hash ^ round(0n, value)) * P1 + P4);
  } else hash = wrap(seed + P5);
  hash = wrap(hash + BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8) {
    hash = wrap(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * P1 + P4);
  }
  if (at + 4 <= bytes.length) {
    hash = wrap(rotate(hash ^ wrap(BigInt(view.getUint32(at, true)) * P1), 23n) * P2 + P3);
    at += 4;
  }
  for (; at < bytes.length; at++) hash = wrap(rotate(hash ^ wrap(BigInt(bytes[at]!) * P5), 11n) * P1);
  hash = wrap((hash ^ (hash >> 33n)) * P2);
  hash = wrap((hash ^ (hash >> 29n)) * P3);
  return hash ^ (hash >> 32n);
};

describe("xxh64", () => {
  test.each([
    ["", 0, "ef46db3751d8e999"],
    ["", 1, "d5afba1336a3be4b"],
    ["a", 0, "d24ec4f1a98c6e5b"],
    ["as", 0, "1c330fb2d66be179"],
    ["asd", 0, "631c37ce72a97393"],
    ["asdf", 0, "415872f599cea71e"],
    ["abc", 0, "44bc2cf5ad770999"],
    ["Call me Ishmael. Some years ago--never mind how long precisely-", 0, "02a2e85470d6fd96"],
  ])("%j with seed %i is the published value", (text, seed, expected) => {
    expect(hex(xxh64(text, seed))).toBe(expected);
  });

  test("any bytes and any seed give what the specification says", () => {
    const seeds = fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: MASK }));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), seeds, (bytes, seed) => {
        const halves = { high: Number(seed >> 32n), low: Number(seed & 0xffffffffn) };
        expect(numberOf(xxh64(bytes, halves))).toBe(specified(bytes, seed));
        if (halves.high === 0) expect(numberOf(xxh64(bytes, halves.low))).toBe(specified(bytes, seed));
      }),
      { numRuns: 500 },
    );
  });

  test("a text is hashed by its UTF-8 bytes, however long it is", () => {
    // One to four bytes, and half a character, which has none of its own.
    const anyUnit = fc.constantFrom("a", "\0", "~", "\x7f", "\x80", "é", "€", "😀", "\ud800");
    fc.assert(
      fc.property(fc.string({ unit: anyUnit, maxLength: 20 }), fc.integer({ min: 1, max: 60 }), (part, times) => {
        const text = part.repeat(times);
        expect(xxh64(text)).toEqual(xxh64(new TextEncoder().encode(text)));
      }),
    );
    for (const length of [511, 512, 513]) {
      const text = "k".repeat(length);
      expect(xxh64(text)).toEqual(xxh64(new TextEncoder().encode(text)));
    }
    expect(xxh64("é")).toEqual(xxh64(new Uint8Array([0xc3, 0xa9])));
  });

  test("a longer key before it leaves nothing behind", () => {
    const alone = xxh64("user-7");
    xxh64("a key that is a good deal longer than the other one");
    expect(xxh64("user-7")).toEqual(alone);
  });

  test("compares as unsigned numbers", () => {
    expect(compareHashes({ high: 0xffffffff, low: 0 }, { high: 1, low: 5 })).toBeGreaterThan(0);
    expect(compareHashes({ high: 1, low: 0xfffffffe }, { high: 1, low: 0xffffffff })).toBeLessThan(0);
    expect(compareHashes(xxh64("a"), xxh64("a"))).toBe(0);
  });
});

describe("unitOf", () => {
  test("spreads over the whole range and never reaches 1", () => {
    expect(unitOf({ high: 0, low: 0 })).toBe(0);
    expect(unitOf({ high: 0x80000000, low: 0 })).toBe(0.5);
    expect(unitOf({ high: 0xffffffff, low: 0xffffffff })).toBeLessThan(1);
    const tenths = new Array<number>(10).fill(0);
    for (let key = 0; key < 10_000; key++) tenths[Math.floor(unitOf(xxh64(`user-${key}`)) * 10)]! += 1;
    // Six standard deviations of a tenth of 10,000.
    for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(180);
  });
});

interface HashVectors {
  readonly xxh64: readonly (readonly [text: string, hash: string])[];
  readonly ring: readonly {
    readonly keys: readonly string[];
    readonly perHost: number;
    readonly expect: readonly (readonly [key: string, hash: string])[];
  }[];
  readonly maglev: readonly {
    readonly keys: readonly string[];
    readonly weights: readonly number[];
    readonly size: number;
    readonly expect: readonly number[];
  }[];
}

const vectors = corpus<HashVectors>("envoy/hash-vectors.json");

describe.skipIf(vectors.missing)(`Envoy's own tables${vectors.note}`, () => {
  const known = vectors.read();

  test("its hashes are ours", () => {
    for (const [text, hash] of known?.xxh64 ?? []) expect(String(numberOf(xxh64(text)))).toBe(hash);
    expect(known?.xxh64.length).toBeGreaterThan(0);
  });

  test("its rings are ours, entry by entry", () => {
    for (const { keys, perHost, expect: ring } of known?.ring ?? []) {
      const ours = keys
        .flatMap((key) => Array.from({ length: perHost }, (_, n) => ({ key, hash: xxh64(`${key}_${n}`) })))
        .sort((a, b) => compareHashes(a.hash, b.hash))
        .map(({ key, hash }) => [key, String(numberOf(hash))]);
      expect(ours).toEqual(ring);
    }
    expect(known?.ring.length).toBeGreaterThan(0);
  });

  test("its Maglev tables are ours, where all weigh alike: offset by seed 0, skip by seed 1", () => {
    for (const { keys, size, expect: table } of known?.maglev ?? []) {
      const steps = keys.map((key) => ({
        offset: Number(numberOf(xxh64(key)) % BigInt(size)),
        skip: Number(numberOf(xxh64(key, 1)) % BigInt(size - 1)) + 1,
        next: 0,
      }));
      const ours = new Array<number | undefined>(size).fill(undefined);
      for (let filled = 0; filled < size; ) {
        for (const [host, step] of steps.entries()) {
          if (filled === size) break;
          let place: number;
          do place = (step.offset + step.skip * step.next++) % size;
          while (ours[place] !== undefined);
          ours[place] = host;
          filled++;
        }
      }
      expect(ours).toEqual(table);
    }
    expect(known?.maglev.length).toBeGreaterThan(0);
  });
});
