/** What a pool holds of one report. */
export interface PooledReport<T> {
  readonly of: T;
  /** Requests in flight there; calls that were sent since are added. */
  inFlight: number;
  readonly latencyMs: number;
  readonly atMs: number;
  usesLeft: number;
}

/** How many reports are kept (Prequal). */
export const MOST_REPORTS = 16;

/** A report older than this is forgotten. */
export const REPORT_AGE_MS = 1_000;

/** Numbers in flight from which the threshold between cold and hot is taken. */
const REMEMBERED_FLIGHTS = 128;

/** Reports after which the threshold is worked out anew. */
const THRESHOLD_EVERY = 8;

/** The freshest reports of endpoints, one of each: bounded by number, by age and by how often each may be used. */
export class ReportPool<T extends object> {
  readonly #quantile: number;
  readonly #uses: number;
  /** Oldest first. */
  #reports: PooledReport<T>[] = [];
  readonly #flights: number[] = [];
  #noted = 0;
  /** Above it an endpoint is hot. */
  #threshold = Number.POSITIVE_INFINITY;

  /** @param quantile of the numbers in flight seen lately above which an endpoint is hot, 0 to 1. */
  constructor(quantile: number, uses: number) {
    this.#quantile = quantile;
    this.#uses = uses;
  }

  get threshold(): number {
    return this.#threshold;
  }

  note(of: T, inFlight: number, latencyMs: number, nowMs: number): void {
    this.forget(of);
    if (this.#reports.length >= MOST_REPORTS) this.#reports.shift();
    this.#reports.push({ of, inFlight, latencyMs, atMs: nowMs, usesLeft: this.#uses });
    this.#flights[this.#noted % REMEMBERED_FLIGHTS] = inFlight;
    if (this.#noted % THRESHOLD_EVERY === 0) {
      const sorted = this.#flights.toSorted((a, b) => a - b);
      this.#threshold = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * this.#quantile))] ?? 0;
      if (this.#quantile >= 1) this.#threshold = Number.POSITIVE_INFINITY;
    }
    this.#noted++;
  }

  /** An endpoint's report counts no more. */
  forget(of: T): void {
    const at = this.#reports.findIndex((each) => each.of === of);
    if (at >= 0) this.#reports.splice(at, 1);
  }

  /** Those that are not too old, oldest first. */
  fresh(nowMs: number): readonly PooledReport<T>[] {
    while ((this.#reports[0]?.atMs ?? nowMs) < nowMs - REPORT_AGE_MS) this.#reports.shift();
    return this.#reports;
  }

  /** A call is sent to where a report led: one more will be in flight there. */
  use(report: PooledReport<T>): void {
    report.inFlight++;
    report.usesLeft--;
    if (report.usesLeft <= 0) this.forget(report.of);
  }
}
