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
  const heaviest = hosts.reduce((most, { weight }) => Math.max(most, weight / total), 0);
  const walkers = hosts.map(({ key, weight }) => ({
    place: remainderOf(xxh64(key), size),
    skip: remainderOf(xxh64(key, 1), size - 1) + 1,
    weight: weight / total,
    target: 0,
  }));
  let taken = hosts.length === 0 ? size : 0;
  for (let turn = 1; taken < size; turn++) {
    for (const [owner, walker] of walkers.entries()) {
      if (taken === size) break;
      if (turn * walker.weight < walker.target) continue;
      walker.target += heaviest;
      while (owners[walker.place] !== FREE) walker.place = (walker.place + walker.skip) % size;
      owners[walker.place] = owner;
      walker.place = (walker.place + walker.skip) % size;
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

/** A 64-bit hash modulo a size up to 2^20 or so: every product stays exact. */
const remainderOf = ({ high, low }: Hash64, size: number): number =>
  ((high % size) * (2 ** 32 % size) + (low % size)) % size;
