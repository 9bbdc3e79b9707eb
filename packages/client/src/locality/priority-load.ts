/** How many of a tier's endpoints there are, and how many can be called. */
export interface TierHealth {
  /** Endpoints that can be called and are neither ejected nor unreachable. */
  readonly healthy: number;
  /** All of them, also those that the registry says cannot serve. */
  readonly total: number;
  /** Those that may be picked when nobody looks at health: all but the ones that the registry takes out. */
  readonly callable: number;
}

/** What of the calls goes to a tier. */
export interface TierLoad {
  /** What the tier can bear, after others were made up for: 0 to 100. */
  readonly healthPercent: number;
  /** Its share of the calls; all tiers together 100. */
  readonly loadPercent: number;
  /** So few are left in it that health does not matter inside. */
  readonly panics: boolean;
}

/**
 * Envoy's priority load: a tier keeps all calls while what is left of it, times the overprovisioning, is 100 % or more; what it
 * cannot bear goes to the next. Where all tiers together cannot bear it, each gets its share of what they can, and those below
 * the panic threshold ignore health; where all do, the calls are spread evenly over the endpoints.
 *
 * @param tiers in the order of preference.
 * @param panicPercent 0 turns panic off.
 */
export const priorityLoad = (
  tiers: readonly TierHealth[],
  overprovisioningPercent: number,
  panicPercent: number,
): readonly TierLoad[] => {
  const health = tiers.map((tier) => healthPercentOf(tier, overprovisioningPercent));
  const total = Math.min(
    100,
    health.reduce((sum, each) => sum + each, 0),
  );
  const panics = tiers.map(
    ({ healthy, total: all, callable }) => callable > 0 && total < 100 && healthy * 100 < panicPercent * all,
  );
  const callable = tiers.reduce((sum, tier) => sum + tier.callable, 0);
  // A tier that cannot be called in any case is no reason for looking at the health of the others.
  const allPanic = callable > 0 && tiers.every((tier, place) => panics[place] === true || tier.callable === 0);
  let left = 100;
  return tiers.map((tier, place) => {
    const healthPercent = health[place] ?? 0;
    const wanted = total === 0 ? (place === 0 ? 100 : 0) : (healthPercent * 100) / total;
    const inTurn = Math.min(left, wanted);
    left -= inTurn;
    const loadPercent = allPanic ? (tier.callable * 100) / callable : inTurn;
    return { healthPercent, loadPercent, panics: panics[place] === true };
  });
};

/** What a group of endpoints can bear: its healthy share times the overprovisioning, at most 100. */
export const healthPercentOf = (
  { healthy, total }: Pick<TierHealth, "healthy" | "total">,
  overprovisioningPercent: number,
): number => (total === 0 ? 0 : Math.min(100, (overprovisioningPercent * healthy) / total));
