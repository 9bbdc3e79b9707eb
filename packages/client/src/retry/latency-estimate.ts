/** The finest that is told apart, milliseconds. */
const FIRST_MS = 0.1;
/** Each bucket reaches 15 % further than the one before, so an answer is at most that much too high. */
const GROWTH = 1.15;
/** Up to about 10 minutes. */
const BUCKETS = 112;
const LOG_GROWTH = Math.log(GROWTH);
/** What was seen counts half after this time: 10 s, as the balancer's averages. */
const HALF_LIFE_MS = 10_000;
/** How often it is aged; in between the newest counts a little too little. */
const AGING_MS = 1_000;
/** Fewer than this many present answers say nothing. */
const MIN_SAMPLES = 20;
/** A quantile is found anew after this many answers. */
const STALE_AFTER = 32;
/** Quantiles that are remembered at a time; policies ask for one or two. */
const MAX_REMEMBERED = 8;

/**
 * How long a destination takes until the headers of its replies: a histogram of fixed size over the last half minute or so.
 * State of a destination, which outlives policies.
 */
export class LatencyEstimate {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;
  #agedMs: number;
  #version = 0;
  readonly #remembered = new Map<number, { readonly version: number; readonly ms: number | undefined }>();

  constructor(nowMs: number) {
    this.#agedMs = nowMs;
  }

  /** Notes one answer. */
  record(ms: number, nowMs: number): void {
    this.#age(nowMs);
    const bucket = ms <= FIRST_MS ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms / FIRST_MS) / LOG_GROWTH));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total++;
    this.#version++;
  }

  /**
   * What this share of the answers took at most, milliseconds, rounded up.
   *
   * @param share 0 to 1.
   * @returns `undefined` while too little is known.
   */
  quantile(share: number, nowMs: number): number | undefined {
    this.#age(nowMs);
    const known = this.#remembered.get(share);
    if (known !== undefined && this.#version - known.version < STALE_AFTER) return known.ms;
    const ms = this.#total < MIN_SAMPLES ? undefined : this.#find(share);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    // What is not known yet is looked for again with the next answer.
    this.#remembered.set(share, { version: ms === undefined ? this.#version - STALE_AFTER : this.#version, ms });
    return ms;
  }

  #find(share: number): number {
    const wanted = this.#total * share;
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= wanted) return FIRST_MS * GROWTH ** bucket;
    }
    return FIRST_MS * GROWTH ** (BUCKETS - 1);
  }

  #age(nowMs: number): void {
    const passedMs = nowMs - this.#agedMs;
    if (passedMs < AGING_MS) return;
    this.#agedMs = nowMs;
    const kept = 0.5 ** (passedMs / HALF_LIFE_MS);
    this.#total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = (this.#counts[bucket] ?? 0) * kept;
      this.#counts[bucket] = count < 1e-3 ? 0 : count;
      this.#total += this.#counts[bucket] ?? 0;
    }
    this.#version += STALE_AFTER;
  }
}
