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

  // Halves are held in local variables and steps are written out: a function that returned both would cost an object per step.
  let high: number;
  let low: number;
  let at = 0;
  if (length >= 32) {
    at = length - (length % 32);
    hashStripes(bytes, at, seedHigh, seedLow);
    high = stripes[0] as number;
    low = stripes[1] as number;
  } else {
    high = sumHigh(seedHigh, seedLow, P5_HIGH, P5_LOW);
    low = (seedLow + P5_LOW) | 0;
  }
  high = sumHigh(high, low, 0, length);
  low = (low + length) | 0;

  for (; at + 8 <= length; at += 8) {
    const lane = word(bytes, at);
    const mixedHigh = productHigh(word(bytes, at + 4), lane, P2_HIGH, P2_LOW);
    const mixedLow = Math.imul(lane, P2_LOW);
    const roundLow = (mixedLow << 31) | (mixedHigh >>> 1);
    high ^= productHigh((mixedHigh << 31) | (mixedLow >>> 1), roundLow, P1_HIGH, P1_LOW);
    low ^= Math.imul(roundLow, P1_LOW);
    const turnedHigh = (high << 27) | (low >>> 5);
    const turnedLow = (low << 27) | (high >>> 5);
    high = productHigh(turnedHigh, turnedLow, P1_HIGH, P1_LOW);
    low = Math.imul(turnedLow, P1_LOW);
    high = sumHigh(high, low, P4_HIGH, P4_LOW);
    low = (low + P4_LOW) | 0;
  }
  if (at + 4 <= length) {
    const lane = word(bytes, at);
    high ^= productHigh(0, lane, P1_HIGH, P1_LOW);
    low ^= Math.imul(lane, P1_LOW);
    const turnedHigh = (high << 23) | (low >>> 9);
    const turnedLow = (low << 23) | (high >>> 9);
    high = productHigh(turnedHigh, turnedLow, P2_HIGH, P2_LOW);
    low = Math.imul(turnedLow, P2_LOW);
    high = sumHigh(high, low, P3_HIGH, P3_LOW);
    low = (low + P3_LOW) | 0;
    at += 4;
  }
  for (; at < length; at++) {
    // Within the length, which the compiler cannot know.
    const byte = bytes[at] as number;
    high ^= productHigh(0, byte, P5_HIGH, P5_LOW);
    low ^= Math.imul(byte, P5_LOW);
    const turnedHigh = (high << 11) | (low >>> 21);
    const turnedLow = (low << 11) | (high >>> 21);
    high = productHigh(turnedHigh, turnedLow, P1_HIGH, P1_LOW);
    low = Math.imul(turnedLow, P1_LOW);
  }

  // h ^= h >>> 33, which leaves the upper half alone; then 29, then 32.
  low ^= high >>> 1;
  high = productHigh(high, low, P2_HIGH, P2_LOW);
  low = Math.imul(low, P2_LOW);
  low ^= (low >>> 29) | (high << 3);
  high ^= high >>> 29;
  high = productHigh(high, low, P3_HIGH, P3_LOW);
  low = Math.imul(low, P3_LOW);
  return { high: high >>> 0, low: (low ^ high) >>> 0 };
};

/** A hash as a share of the whole range: from 0 up to, but not including, 1. Its upper 53 bits. */
export const unitOf = (hash: Hash64): number => ((hash.high >>> 0) * 2 ** 21 + (hash.low >>> 11)) / 2 ** 53;

/** As {@link unitOf}, but its lower half: independent of what is chosen by the upper one. */
export const unitOfLow = (hash: Hash64): number => (hash.low >>> 0) / 2 ** 32;

/** Whether a hash comes before (negative), after (positive) or at (0) another, as unsigned numbers. */
export const compareHashes = (a: Hash64, b: Hash64): number => a.high - b.high || a.low - b.low;

/** One of all hashes, by chance. */
export const randomHash = (random: () => number): Hash64 => ({
  high: Math.floor(random() * 2 ** 32),
  low: Math.floor(random() * 2 ** 32),
});

/** A hash as 16 hexadecimal digits. */
export const hexOf = ({ high, low }: Hash64): string =>
  high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");

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

/** The upper half of a sum; the lower one is `(aLow + bLow) | 0`. */
const sumHigh = (aHigh: number, aLow: number, bHigh: number, bLow: number): number =>
  (aHigh + bHigh + ((aLow >>> 0) + (bLow >>> 0) > 0xffffffff ? 1 : 0)) | 0;

/** The upper half of a product's low 64 bits; the lower one is `Math.imul(aLow, bLow)`. */
const productHigh = (aHigh: number, aLow: number, bHigh: number, bLow: number): number =>
  (carryOf(aLow, bLow) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) | 0;

/** The upper 32 bits of the product of two halves, in limbs of 16 bits, none of whose sums exceeds 32. */
const carryOf = (a: number, b: number): number => {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = (Math.imul(a1, b0) >>> 0) + (Math.imul(a0, b0) >>> 16);
  const second = (Math.imul(a0, b1) >>> 0) + (middle & 0xffff);
  return (Math.imul(a1, b1) + (middle >>> 16) + (second >>> 16)) | 0;
};

const word = (bytes: Uint8Array, at: number): number =>
  // Every read is within the length, which the compiler cannot know.
  (bytes[at] as number) |
  ((bytes[at + 1] as number) << 8) |
  ((bytes[at + 2] as number) << 16) |
  ((bytes[at + 3] as number) << 24);

// Hashing never waits, so nobody else can be at work in these between two steps.
const accHigh = new Int32Array(4);
const accLow = new Int32Array(4);
/** What {@link hashStripes} leaves behind: the upper and the lower half. */
const stripes = new Int32Array(2);

/** How far each of the four accumulators is rotated when they are joined. */
const turns = [1, 7, 12, 18] as const;

/** Four accumulators over stripes of 32 bytes, up to `end`. */
const hashStripes = (bytes: Uint8Array, end: number, seedHigh: number, seedLow: number): void => {
  accHigh[1] = sumHigh(seedHigh, seedLow, P2_HIGH, P2_LOW);
  accLow[1] = seedLow + P2_LOW;
  accHigh[0] = sumHigh(accHigh[1], accLow[1], P1_HIGH, P1_LOW);
  accLow[0] = accLow[1] + P1_LOW;
  accHigh[2] = seedHigh;
  accLow[2] = seedLow;
  // The two's complement of the prime: the reference subtracts it.
  accHigh[3] = sumHigh(seedHigh, seedLow, ~P1_HIGH, -P1_LOW);
  accLow[3] = seedLow - P1_LOW;

  for (let at = 0; at < end; at += 8) {
    const lane = (at >> 3) & 3;
    const laneLow = word(bytes, at);
    const mixedHigh = productHigh(word(bytes, at + 4), laneLow, P2_HIGH, P2_LOW);
    const mixedLow = Math.imul(laneLow, P2_LOW);
    const high = sumHigh(accHigh[lane] as number, accLow[lane] as number, mixedHigh, mixedLow);
    const low = ((accLow[lane] as number) + mixedLow) | 0;
    const turnedLow = (low << 31) | (high >>> 1);
    accHigh[lane] = productHigh((high << 31) | (low >>> 1), turnedLow, P1_HIGH, P1_LOW);
    accLow[lane] = Math.imul(turnedLow, P1_LOW);
  }

  let high = 0;
  let low = 0;
  for (const [lane, bits] of turns.entries()) {
    const ofHigh = accHigh[lane] as number;
    const ofLow = accLow[lane] as number;
    const turnedLow = (ofLow << bits) | (ofHigh >>> (32 - bits));
    high = sumHigh(high, low, (ofHigh << bits) | (ofLow >>> (32 - bits)), turnedLow);
    low = (low + turnedLow) | 0;
  }
  for (let lane = 0; lane < 4; lane++) {
    const laneLow = accLow[lane] as number;
    const productOfLow = Math.imul(laneLow, P2_LOW);
    const productOfHigh = productHigh(accHigh[lane] as number, laneLow, P2_HIGH, P2_LOW);
    const roundLow = (productOfLow << 31) | (productOfHigh >>> 1);
    high ^= productHigh((productOfHigh << 31) | (productOfLow >>> 1), roundLow, P1_HIGH, P1_LOW);
    const mixedLow = low ^ Math.imul(roundLow, P1_LOW);
    low = Math.imul(mixedLow, P1_LOW);
    high = productHigh(high, mixedLow, P1_HIGH, P1_LOW);
    high = sumHigh(high, low, P4_HIGH, P4_LOW);
    low = (low + P4_LOW) | 0;
  }
  stripes[0] = high;
  stripes[1] = low;
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
