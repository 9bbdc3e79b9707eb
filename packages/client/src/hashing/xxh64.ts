/** A 64-bit hash in two unsigned halves: JavaScript's numbers are exact up to 53 bits, and BigInt costs ten times as much. */
export interface Hash64 {
  readonly high: number;
  readonly low: number;
}

/**
 * XXH64, byte for byte that of the reference implementation and of Envoy's ring hash and Maglev. A text is hashed by its
 * UTF-8 bytes.
 *
 * @param seed a whole number from 0 to 2^32 - 1, or a hash made before. @default 0
 */
export const xxh64 = (input: string | Uint8Array, seed: number | Hash64 = 0): Hash64 => {
  const bytes = typeof input === "string" ? bytesOf(input) : input;
  const length = typeof input === "string" ? written : input.length;
  const seedHigh = typeof seed === "number" ? 0 : seed.high | 0;
  const seedLow = (typeof seed === "number" ? seed : seed.low) | 0;

  let at = 0;
  if (length >= 32) {
    at = hashStripes(bytes, length, seedHigh, seedLow);
  } else {
    add(seedHigh, seedLow, P5_HIGH, P5_LOW);
  }
  add(high, low, 0, length | 0);
  return finish(bytes, at, length);
};

/** A hash as a share of the whole range: from 0 up to, but not including, 1. Its upper 53 bits. */
export const unitOf = (hash: Hash64): number => ((hash.high >>> 0) * 2 ** 21 + (hash.low >>> 11)) / 2 ** 53;

/** Whether a hash comes before (negative), after (positive) or at (0) another, as unsigned numbers. */
export const compareHashes = (a: Hash64, b: Hash64): number => a.high - b.high || a.low - b.low;

const P1_HIGH = 0x9e3779b1 | 0;
const P1_LOW = 0x85ebca87 | 0;
const P2_HIGH = 0xc2b2ae3d | 0;
const P2_LOW = 0x27d4eb4f | 0;
const P3_HIGH = 0x165667b1 | 0;
const P3_LOW = 0x9e3779f9 | 0;
const P4_HIGH = 0x85ebca77 | 0;
const P4_LOW = 0xc2b2ae63 | 0;
const P5_HIGH = 0x27d4eb2f | 0;
const P5_LOW = 0x165667c5 | 0;

// What the steps below leave behind. A returned pair would be an object for each of a dozen products per key; hashing never
// waits, so nobody else can be between two steps.
let high = 0;
let low = 0;

const add = (aHigh: number, aLow: number, bHigh: number, bLow: number): void => {
  const sum = (aLow >>> 0) + (bLow >>> 0);
  low = sum | 0;
  high = (aHigh + bHigh + (sum > 0xffffffff ? 1 : 0)) | 0;
};

/** The low 64 bits of a product: the low halves multiply in limbs of 16 bits, none of whose sums exceeds 32. */
const multiply = (aHigh: number, aLow: number, bHigh: number, bLow: number): void => {
  const a0 = aLow & 0xffff;
  const a1 = aLow >>> 16;
  const b0 = bLow & 0xffff;
  const b1 = bLow >>> 16;
  const middle = (Math.imul(a1, b0) >>> 0) + (Math.imul(a0, b0) >>> 16);
  const second = (Math.imul(a0, b1) >>> 0) + (middle & 0xffff);
  const carried = Math.imul(a1, b1) + (middle >>> 16) + (second >>> 16);
  low = Math.imul(aLow, bLow);
  high = (carried + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) | 0;
};

const rotate = (byHigh: number, byLow: number, bits: number): void => {
  const back = 32 - bits;
  high = (byHigh << bits) | (byLow >>> back);
  low = (byLow << bits) | (byHigh >>> back);
};

/** One lane of eight bytes mixed into an accumulator. */
const mix = (accHigh: number, accLow: number, laneHigh: number, laneLow: number): void => {
  multiply(laneHigh, laneLow, P2_HIGH, P2_LOW);
  add(accHigh, accLow, high, low);
  rotate(high, low, 31);
  multiply(high, low, P1_HIGH, P1_LOW);
};

const word = (bytes: Uint8Array, at: number): number =>
  // Every read is within the length, which the compiler cannot know.
  (bytes[at] as number) |
  ((bytes[at + 1] as number) << 8) |
  ((bytes[at + 2] as number) << 16) |
  ((bytes[at + 3] as number) << 24);

/** Four accumulators over stripes of 32 bytes. Returns where the rest begins. */
const hashStripes = (bytes: Uint8Array, length: number, seedHigh: number, seedLow: number): number => {
  add(seedHigh, seedLow, P1_HIGH, P1_LOW);
  add(high, low, P2_HIGH, P2_LOW);
  let h1 = high;
  let l1 = low;
  add(seedHigh, seedLow, P2_HIGH, P2_LOW);
  let h2 = high;
  let l2 = low;
  let h3 = seedHigh;
  let l3 = seedLow;
  // The two's complement of the prime: the reference subtracts it.
  add(seedHigh, seedLow, ~P1_HIGH, -P1_LOW | 0);
  let h4 = high;
  let l4 = low;

  let at = 0;
  for (const last = length - 32; at <= last; at += 32) {
    mix(h1, l1, word(bytes, at + 4), word(bytes, at));
    h1 = high;
    l1 = low;
    mix(h2, l2, word(bytes, at + 12), word(bytes, at + 8));
    h2 = high;
    l2 = low;
    mix(h3, l3, word(bytes, at + 20), word(bytes, at + 16));
    h3 = high;
    l3 = low;
    mix(h4, l4, word(bytes, at + 28), word(bytes, at + 24));
    h4 = high;
    l4 = low;
  }

  rotate(h1, l1, 1);
  let sumHigh = high;
  let sumLow = low;
  rotate(h2, l2, 7);
  add(sumHigh, sumLow, high, low);
  sumHigh = high;
  sumLow = low;
  rotate(h3, l3, 12);
  add(sumHigh, sumLow, high, low);
  sumHigh = high;
  sumLow = low;
  rotate(h4, l4, 18);
  add(sumHigh, sumLow, high, low);
  merge(h1, l1);
  merge(h2, l2);
  merge(h3, l3);
  merge(h4, l4);
  return at;
};

/** One accumulator folded into the hash so far. */
const merge = (accHigh: number, accLow: number): void => {
  const soFarHigh = high;
  const soFarLow = low;
  mix(0, 0, accHigh, accLow);
  multiply(soFarHigh ^ high, soFarLow ^ low, P1_HIGH, P1_LOW);
  add(high, low, P4_HIGH, P4_LOW);
};

/** The bytes after the last stripe, then the avalanche. */
const finish = (bytes: Uint8Array, from: number, length: number): Hash64 => {
  let at = from;
  for (; at + 8 <= length; at += 8) {
    const soFarHigh = high;
    const soFarLow = low;
    mix(0, 0, word(bytes, at + 4), word(bytes, at));
    rotate(soFarHigh ^ high, soFarLow ^ low, 27);
    multiply(high, low, P1_HIGH, P1_LOW);
    add(high, low, P4_HIGH, P4_LOW);
  }
  if (at + 4 <= length) {
    const soFarHigh = high;
    const soFarLow = low;
    multiply(0, word(bytes, at), P1_HIGH, P1_LOW);
    rotate(soFarHigh ^ high, soFarLow ^ low, 23);
    multiply(high, low, P2_HIGH, P2_LOW);
    add(high, low, P3_HIGH, P3_LOW);
    at += 4;
  }
  for (; at < length; at++) {
    const soFarHigh = high;
    const soFarLow = low;
    multiply(0, bytes[at] as number, P5_HIGH, P5_LOW);
    rotate(soFarHigh ^ high, soFarLow ^ low, 11);
    multiply(high, low, P1_HIGH, P1_LOW);
  }
  // h ^= h >>> 33, which leaves the upper half alone; then 29, then 32.
  multiply(high, low ^ (high >>> 1), P2_HIGH, P2_LOW);
  multiply(high ^ (high >>> 29), low ^ ((low >>> 29) | (high << 3)), P3_HIGH, P3_LOW);
  return { high: high >>> 0, low: (low ^ high) >>> 0 };
};

/** Keys up to this many characters are written here, without a new array for each. */
const short = new Uint8Array(512);
let written = 0;
const encoder = new TextEncoder();

/** The UTF-8 bytes of a text, {@link written} of them. Most keys are short and plain, and copied faster than encoded. */
const bytesOf = (text: string): Uint8Array => {
  written = text.length;
  if (written <= short.length) {
    let at = 0;
    for (; at < written; at++) {
      const unit = text.charCodeAt(at);
      if (unit > 0x7f) break;
      short[at] = unit;
    }
    if (at === written) return short;
  }
  const bytes = encoder.encode(text);
  written = bytes.length;
  return bytes;
};
