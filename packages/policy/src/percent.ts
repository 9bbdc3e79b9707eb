/** The share where none is written: all. */
export const DEFAULT_PERCENT = 100;

/**
 * Whether chance falls within a share of 0 to 100 percent, fractions included. All and none ask nobody, so that they are
 * certain. `random` yields numbers from 0 up to, but not including, 1.
 */
export const fallsWithin = (percent: number, random: () => number): boolean => {
  if (percent >= 100) return true;
  return percent > 0 && random() * 100 < percent;
};
