/** One thing that a task promises, and what was seen of it. */
export interface Observation {
  readonly promise: string;
  readonly seen: string;
  readonly kept: boolean;
}

/** How often something was seen, by what it is. */
export type Counts = Readonly<Record<string, number>>;

/** Counts equal texts. */
export const countEach = (seen: readonly string[]): Counts => {
  const counts: Record<string, number> = {};
  for (const each of [...seen].sort()) counts[each] = (counts[each] ?? 0) + 1;
  return counts;
};

/** Counts as people read them: `v1 78.5 % (314)  v2 21.5 % (86)`. */
export const sharesText = (counts: Counts): string => {
  const all = Object.values(counts).reduce((sum, each) => sum + each, 0);
  return Object.entries(counts)
    .map(([what, count]) => `${what} ${((100 * count) / all).toFixed(1)} % (${count})`)
    .join("  ");
};

/** Deviations that a fair draw exceeds once in 16,000 runs. */
const FAIR_DEVIATIONS = 4;

/** Whether counts are what weights promise, as far as chance allows; what has no weight must not be seen at all. */
export const followWeights = (counts: Counts, weights: Counts): boolean => {
  const draws = Object.values(counts).reduce((sum, each) => sum + each, 0);
  const total = Object.values(weights).reduce((sum, each) => sum + each, 0);
  if (draws === 0 || Object.keys(counts).some((what) => weights[what] === undefined)) return false;
  return Object.entries(weights).every(([what, weight]) => {
    const share = weight / total;
    const deviation = Math.sqrt(draws * share * (1 - share));
    return Math.abs((counts[what] ?? 0) - draws * share) <= FAIR_DEVIATIONS * deviation;
  });
};
