/** What a client saw of a destination within the window. */
export interface RequestCounts {
  /** Calls that were accepted, rejected, or refused by the client itself. */
  readonly requests: number;
  readonly accepts: number;
}

/** How much is refused. */
export interface ThrottleLimits {
  /** Calls that are sent per call that is accepted, above 1. */
  readonly multiplier: number;
  readonly maxRejectionPercent: number;
}

/**
 * The share of calls to refuse, 0 to 1: `max(0, (requests - K * accepts) / (requests + 1))`, bounded (SRE book). What is
 * refused counts as a request, so that the share grows until about K calls are sent per call accepted.
 */
export const rejectionShare = ({ requests, accepts }: RequestCounts, limits: ThrottleLimits): number =>
  Math.min(limits.maxRejectionPercent / 100, Math.max(0, (requests - limits.multiplier * accepts) / (requests + 1)));

/** Whether to refuse a call, by a random number of [0, 1). */
export const throttle = (counts: RequestCounts, limits: ThrottleLimits, chance: number): boolean =>
  chance < rejectionShare(counts, limits);
