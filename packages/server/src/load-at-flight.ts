/** Answers that are remembered for each number in flight. */
const REMEMBERED = 16;

/** Older answers say nothing of now. */
const RECENT_MS = 10_000;

/** How far from a number in flight its answers may be taken from, as a share of it. */
const NEAR = 0.5;

/** Numbers in flight that are told apart; above, all are one. */
const MOST = 256;

/** The last answers of requests that came upon one number in flight. */
class Answers {
  readonly tookMs = new Float64Array(REMEMBERED);
  readonly atMs = new Float64Array(REMEMBERED).fill(Number.NEGATIVE_INFINITY);
  next = 0;
}

/**
 * How long requests take that arrive while so many others are in flight: the median of the recent ones (Prequal). Bounded: 16
 * answers for each number in flight up to 256.
 */
export class LoadAtFlight {
  readonly #byFlight: (Answers | undefined)[] = [];

  note(inFlight: number, tookMs: number, nowMs: number): void {
    const at = Math.min(inFlight, MOST);
    this.#byFlight[at] ??= new Answers();
    const answers = this.#byFlight[at];
    answers.tookMs[answers.next] = tookMs;
    answers.atMs[answers.next] = nowMs;
    answers.next = (answers.next + 1) % REMEMBERED;
  }

  /** Of this number in flight, or of the nearest one of which something recent is known; `undefined`: nothing is. */
  medianMs(inFlight: number, nowMs: number): number | undefined {
    const at = Math.min(inFlight, MOST);
    const reach = Math.max(2, Math.ceil(at * NEAR));
    for (let distance = 0; distance <= reach; distance++) {
      const below = this.#medianOf(at - distance, nowMs);
      const above = distance === 0 ? undefined : this.#medianOf(at + distance, nowMs);
      if (below !== undefined && above !== undefined) return (below + above) / 2;
      if (below !== undefined || above !== undefined) return below ?? above;
    }
    return undefined;
  }

  #medianOf(at: number, nowMs: number): number | undefined {
    const answers = this.#byFlight[at];
    if (answers === undefined) return undefined;
    const recent: number[] = [];
    for (const [place, atMs] of answers.atMs.entries()) {
      if (nowMs - atMs <= RECENT_MS) recent.push(answers.tookMs[place] ?? 0);
    }
    return recent.sort((a, b) => a - b)[recent.length >> 1];
  }
}
