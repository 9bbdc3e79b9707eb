import { type Hash64, xxh64 } from "../hashing/xxh64.ts";
import type { HashedHost } from "./hash-ring.ts";

/** A table of hosts, by their places in the list that it was built from, that a hash looks up by its remainder. */
export interface MaglevTable {
  readonly size: number;
  ownerAt(place: number): number;
  placeOf(hash: Hash64): number;
}

/**
 * Builds a Maglev table exactly as Envoy does (Eisenbud et al., NSDI 2016, listing 1): each host walks its own permutation of
 * the places, `offset = XXH64(key) mod size`, `skip = XXH64(key, seed 1) mod (size - 1) + 1`, and takes the next free one in
 * its turn; lighter hosts sit out turns.
 *
 * @param size a prime; at least the number of hosts.
 */
export const buildMaglevTable = (hosts: readonly HashedHost[], size: number): MaglevTable => {
  const owners = new Int32Array(size).fill(FREE);
  const total = hosts.reduce((sum, { weight }) => sum + weight, 0);
  const weights = hosts.map(({ weight }) => weight / total);
  const heaviest = weights.reduce((most, weight) => Math.max(most, weight), 0);
  const targets = new Float64Array(hosts.length);
  // Typed arrays: a table takes some hundred thousand steps to fill.
  const places = Int32Array.from(hosts, ({ key }) => remainderOf(xxh64(key), size));
  const skips = Int32Array.from(hosts, ({ key }) => remainderOf(xxh64(key, 1), size - 1) + 1);
  let taken = hosts.length === 0 ? size : 0;
  for (let turn = 1; taken < size; turn++) {
    for (let owner = 0; owner < hosts.length && taken < size; owner++) {
      const target = targets[owner] ?? 0;
      if (turn * (weights[owner] ?? 0) < target) continue;
      targets[owner] = target + heaviest;
      const skip = skips[owner] ?? 1;
      let place = places[owner] ?? 0;
      while (owners[place] !== FREE) place = after(place, skip, size);
      owners[place] = owner;
      places[owner] = after(place, skip, size);
      taken++;
    }
  }
  return {
    size,
    ownerAt: (place) => owners[place] ?? 0,
    placeOf: (hash) => remainderOf(hash, size),
  };
};

const FREE = -1;

/** Both are below the size, so a subtraction does what a division would. */
const after = (place: number, skip: number, size: number): number =>
  place + skip >= size ? place + skip - size : place + skip;

/** A 64-bit hash modulo a size up to 2^23, 16 bits at a time: every step is exact. */
const remainderOf = ({ high, low }: Hash64, size: number): number => {
  const upper = remainder(high, size);
  const middle = remainder(upper * 0x10000 + (low >>> 16), size);
  return remainder(middle * 0x10000 + (low & 0xffff), size);
};

/** A remainder by a multiplication: the operator `%` is ten times as slow for numbers above 2^31. */
const remainder = (value: number, size: number): number => {
  const rest = value - Math.floor(value / size) * size;
  // A quotient just below a whole number may be rounded up to it.
  return rest < 0 ? rest + size : rest;
};
