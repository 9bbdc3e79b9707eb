import { compareHashes, type Hash64, xxh64 } from "../hashing/xxh64.ts";

/** A host of a table of hashes. */
export interface HashedHost {
  /** What is hashed: its address and port. */
  readonly key: string;
  /** Above 0. */
  readonly weight: number;
}

/** How large a ring may be. */
export interface RingSize {
  readonly minimum: number;
  readonly maximum: number;
}

/** Points on a circle of hashes, in their order, each owned by a host. */
export interface HashRing {
  readonly size: number;
  /** The hash at a place. */
  hashAt(place: number): Hash64;
  /** The host, by its place in the list that the ring was built from, that owns a point. */
  ownerAt(place: number): number;
  /** The first point at or after a hash; after the last one comes the first. */
  placeOf(hash: Hash64): number;
}

/**
 * Builds a ketama ring exactly as Envoy does: the lightest host gets a whole number of points so that there are `minimum` of
 * them in all, others in proportion, at most `maximum` in all. A host's n-th point is `XXH64(key + "_" + n)`.
 */
export const buildRing = (hosts: readonly HashedHost[], { minimum, maximum }: RingSize): HashRing => {
  const total = hosts.reduce((sum, { weight }) => sum + weight, 0);
  const lightest = hosts.reduce((least, { weight }) => Math.min(least, weight / total), 1);
  const scale = Math.min(Math.ceil(lightest * minimum) / lightest, maximum);
  const points: { readonly hash: Hash64; readonly owner: number }[] = [];
  // Running sums over all hosts: parts of a point are not lost, but go to a later host.
  let target = 0;
  for (const [owner, { key, weight }] of hosts.entries()) {
    target += (scale * weight) / total;
    for (let number = 0; points.length < target; number++) points.push({ hash: xxh64(`${key}_${number}`), owner });
  }
  points.sort((a, b) => compareHashes(a.hash, b.hash));
  return new Points(points);
};

class Points implements HashRing {
  readonly size: number;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #owner: Uint32Array;

  constructor(points: readonly { readonly hash: Hash64; readonly owner: number }[]) {
    this.size = points.length;
    this.#high = Uint32Array.from(points, ({ hash }) => hash.high);
    this.#low = Uint32Array.from(points, ({ hash }) => hash.low);
    this.#owner = Uint32Array.from(points, ({ owner }) => owner);
  }

  hashAt(place: number): Hash64 {
    return { high: this.#high[place] ?? 0, low: this.#low[place] ?? 0 };
  }

  ownerAt(place: number): number {
    return this.#owner[place] ?? 0;
  }

  placeOf({ high, low }: Hash64): number {
    let from = 0;
    let to = this.size;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const pointHigh = this.#high[middle] ?? 0;
      const before = pointHigh < high || (pointHigh === high && (this.#low[middle] ?? 0) < low);
      if (before) from = middle + 1;
      else to = middle;
    }
    return from === this.size ? 0 : from;
  }
}
