/** How long an instance outlives its connection, and when silence is not believed. */
export interface LeasePolicy {
  /** Time that a member has to come back after its connection ended, milliseconds. @default 10,000 */
  readonly reconnectGraceMs: number;
  /** Time after the server's own start in which nothing is removed, milliseconds. @default 30,000 */
  readonly startGraceMs: number;
  /** Losing more than this share of a service at once is a mass removal, in percent. @default 30 */
  readonly massPercent: number;
  /** Losing fewer instances than this is never a mass removal: a service of two must be able to lose one. @default 3 */
  readonly massMinimum: number;
  /** What "at once" means, milliseconds: connections that a partition cut are not noticed in one moment. @default 60,000 */
  readonly massWindowMs: number;
}

/** What holds where nothing is said. */
export const defaultLeasePolicy: LeasePolicy = {
  reconnectGraceMs: 10_000,
  startGraceMs: 30_000,
  massPercent: 30,
  massMinimum: 3,
  massWindowMs: 60_000,
};

/** What the decision has to know of one instance. */
export interface LeasedInstance {
  readonly id: string;
  /** When its connection ended; `undefined` while it has one. */
  readonly absentSinceMs: number | undefined;
  /** It said that it goes, so its silence is believed. */
  readonly draining: boolean;
}

/** What becomes of a service's absent instances now. */
export interface LeaseDecision {
  readonly remove: readonly string[];
  /** Absent for too long, but kept: either we are the ones who lost the network, or nothing would be left. */
  readonly stale: readonly string[];
}

/**
 * Which instances of one service go. Instances that drained go after the grace period in any case. Of all others none goes
 * while more than `massPercent` and at least `massMinimum` would go within the window, and never the last one of a service:
 * they become stale, and go when others have taken their place, when they say so themselves, or not at all.
 *
 * @param recentRemovals instances of the service that were removed for their silence within the window before.
 */
export const decideLeases = (
  instances: readonly LeasedInstance[],
  policy: LeasePolicy,
  recentRemovals: number,
  startedAtMs: number,
  nowMs: number,
): LeaseDecision => {
  if (inStartGrace(policy, startedAtMs, nowMs)) return { remove: [], stale: [] };
  const overdue = instances.filter(
    ({ absentSinceMs }) => absentSinceMs !== undefined && nowMs - absentSinceMs >= policy.reconnectGraceMs,
  );
  const drained = idsOf(overdue.filter(({ draining }) => draining));
  const silent = overdue.filter(({ draining }) => !draining);
  const going = silent.length + recentRemovals;
  const share = (100 * going) / (instances.length - drained.length + recentRemovals);
  if (going >= policy.massMinimum && share > policy.massPercent) return { remove: drained, stale: idsOf(silent) };
  const survivor = overdue.length === instances.length ? lastSeen(silent) : undefined;
  return {
    remove: [...drained, ...idsOf(silent.filter((each) => each !== survivor))],
    stale: survivor === undefined ? [] : [survivor.id],
  };
};

/** Whether removals are still held back after the server's own start. */
export const inStartGrace = (policy: LeasePolicy, startedAtMs: number, nowMs: number): boolean =>
  nowMs - startedAtMs < policy.startGraceMs;

const idsOf = (instances: readonly LeasedInstance[]): readonly string[] => instances.map(({ id }) => id);

const lastSeen = (instances: readonly LeasedInstance[]): LeasedInstance | undefined =>
  instances.reduce<LeasedInstance | undefined>(
    (last, each) => ((each.absentSinceMs ?? 0) >= (last?.absentSinceMs ?? 0) ? each : last),
    undefined,
  );
