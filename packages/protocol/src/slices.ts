import { hash } from "node:crypto";
import { MAX_SLICE_ENTRIES } from "./limits.ts";

/** A leaf of the trie: its way of bits from the root, `-` for the root itself. */
export type Leaf = string;

const ROOT: Leaf = "-";

interface Placed<T> {
  readonly entry: T;
  readonly id: string;
  readonly hash: Uint8Array;
}

/**
 * Cuts a set into slices: the leaves of a binary trie over SHA-256 of each entry's id, most significant bit first, where a
 * node with more than `max` entries is split. Every replica finds the same slices, whatever the order of its input, and a
 * change of one entry changes one slice unless it crosses the bound. Within a slice entries are ordered by id.
 *
 * The root is always there, empty for an empty set, so that "none" can be told from "not known". Other empty leaves are not.
 *
 * @param idOf unique among the entries.
 * @throws RangeError when two entries have the same id.
 */
export const sliceEntries = <T>(
  entries: Iterable<T>,
  idOf: (entry: T) => string,
  max: number = MAX_SLICE_ENTRIES,
): ReadonlyMap<Leaf, readonly T[]> => {
  const placed = Array.from(entries, (entry): Placed<T> => {
    const id = idOf(entry);
    return { entry, id, hash: hash("sha256", id, "buffer") };
  }).sort((a, b) => (a.id < b.id ? -1 : 1));
  refuseDuplicates(placed);
  const slices = new Map<Leaf, readonly T[]>();
  const split = (bits: string, within: readonly Placed<T>[]): void => {
    if (within.length <= max) {
      if (within.length > 0 || bits === "")
        slices.set(
          bits === "" ? ROOT : bits,
          within.map(({ entry }) => entry),
        );
      return;
    }
    split(
      `${bits}0`,
      within.filter((each) => bitAt(each.hash, bits.length) === 0),
    );
    split(
      `${bits}1`,
      within.filter((each) => bitAt(each.hash, bits.length) === 1),
    );
  };
  split("", placed);
  return slices;
};

const bitAt = (bytes: Uint8Array, position: number): number =>
  ((bytes[position >> 3] ?? 0) >> (7 - (position & 7))) & 1;

const refuseDuplicates = (sorted: readonly Placed<unknown>[]): void => {
  const twice = sorted.find((each, index) => each.id === sorted[index - 1]?.id);
  if (twice !== undefined) throw new RangeError(`two entries have the id "${twice.id}"; ids must be unique`);
};
