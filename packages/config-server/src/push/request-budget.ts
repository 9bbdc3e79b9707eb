/** What a member may ask of costly things: a few at once, then one a second. */
export interface RequestBudgetPolicy {
  /** Requests that may come at once. */
  readonly burst: number;
  /** Requests that are allowed again in each second. */
  readonly perSecond: number;
}

/** A member renews one certificate per half life; even at lives of seconds this is plenty. */
export const certificateBudget: RequestBudgetPolicy = { burst: 10, perSecond: 1 };

/** A token bucket. Immutable. */
export interface RequestBudget {
  readonly tokens: number;
  readonly atMs: number;
}

/** A full bucket. */
export const fullBudget = (policy: RequestBudgetPolicy, nowMs: number): RequestBudget => ({
  tokens: policy.burst,
  atMs: nowMs,
});

/** Takes one token, or `undefined` when there is none. */
export const withdraw = (
  { tokens, atMs }: RequestBudget,
  policy: RequestBudgetPolicy,
  nowMs: number,
): RequestBudget | undefined => {
  const filled = Math.min(policy.burst, tokens + (Math.max(0, nowMs - atMs) / 1_000) * policy.perSecond);
  return filled >= 1 ? { tokens: filled - 1, atMs: nowMs } : undefined;
};
