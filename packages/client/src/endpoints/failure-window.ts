import { SlidingSum } from "@tulle/time";
import { isOut, type Judged, type OutlierRecord } from "./outlier-ejection.ts";

/** How finely the window is cut: a tenth of it is forgotten at a time. */
const BUCKETS = 10;

/** When the calls of a window make an endpoint fail too much. */
export interface FailureWindowPolicy {
  readonly windowMs: number;
  /** Failures in percent. */
  readonly threshold: number;
  readonly minimumHosts: number;
  readonly requestVolume: number;
}

interface Recent {
  readonly requests: SlidingSum;
  readonly failures: SlidingSum;
}

/**
 * The share of failures of each endpoint over the last stretch of time, judged at each failure: as the success rate of Linkerd's
 * circuit breaker, it need not wait for the end of an interval.
 */
export class FailureWindows {
  readonly #policy: FailureWindowPolicy;
  /** Gone with the endpoint's record. */
  readonly #recent = new WeakMap<OutlierRecord, Recent>();

  constructor(policy: FailureWindowPolicy) {
    this.#policy = policy;
  }

  /**
   * Takes in a call, and tells whether its endpoint fails too much.
   *
   * @param all the endpoints that it is one of, for the question whether enough of them are called.
   */
  note({ figures }: Judged, failed: boolean, all: readonly Judged[], nowMs: number): boolean {
    const { windowMs, threshold, minimumHosts, requestVolume } = this.#policy;
    const recent = this.#of(figures.outlier, nowMs);
    recent.requests.add(1, nowMs, windowMs);
    recent.failures.add(failed ? 1 : 0, nowMs, windowMs);
    if (!failed || recent.requests.total < requestVolume) return false;
    if (recent.failures.total * 100 < threshold * recent.requests.total) return false;
    return minimumHosts <= 1 || this.#calledEnough(all, nowMs) >= minimumHosts;
  }

  /** Begins the endpoint's window anew: what was held against it has been judged. */
  forget({ figures }: Judged): void {
    this.#recent.delete(figures.outlier);
  }

  #calledEnough(all: readonly Judged[], nowMs: number): number {
    const { windowMs, requestVolume } = this.#policy;
    return all.filter(({ figures: { outlier } }) => {
      const requests = this.#recent.get(outlier)?.requests;
      requests?.forget(nowMs, windowMs);
      return !isOut(outlier) && requests !== undefined && requests.total >= requestVolume;
    }).length;
  }

  #of(record: OutlierRecord, nowMs: number): Recent {
    const known = this.#recent.get(record);
    if (known !== undefined) return known;
    const made: Recent = { requests: new SlidingSum(BUCKETS, nowMs), failures: new SlidingSum(BUCKETS, nowMs) };
    this.#recent.set(record, made);
    return made;
  }
}
