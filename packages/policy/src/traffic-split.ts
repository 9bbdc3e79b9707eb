import type { WeightedDestination } from "./route-policy.ts";

/** The weight of a destination that names none. */
export const DEFAULT_WEIGHT = 1;

/** Where a call goes that no split divides: the service that was called, all its endpoints. */
export const WHOLE_SERVICE: WeightedDestination = Object.freeze({});

/** Draws one destination. `random` yields numbers from 0 up to, but not including, 1. */
export type TrafficSplit = (random: () => number) => WeightedDestination;

/**
 * Compiles a split to cumulative weights. Weights are relative to their sum; a destination of weight 0 is never drawn.
 * Without a split, or with an empty one, the draw is always {@link WHOLE_SERVICE}.
 *
 * @throws RangeError when all weights are 0, which `checkPolicies` refuses before.
 */
export const compileSplit = (split: readonly WeightedDestination[] | undefined): TrafficSplit => {
  if (split === undefined || split.length === 0) return () => WHOLE_SERVICE;
  const drawable = split.filter((destination) => weightOf(destination) > 0);
  const last = drawable.at(-1);
  if (last === undefined) throw new RangeError("all weights of the split are 0, so no call could go anywhere");
  if (drawable.length === 1) return () => last;
  let total = 0;
  const bounds = drawable.map((destination) => {
    total += weightOf(destination);
    return { destination, below: total };
  });
  return (random) => {
    const drawn = random() * total;
    for (const { destination, below } of bounds) {
      if (drawn < below) return destination;
    }
    // Rounding can lift the product to the total itself.
    return last;
  };
};

const weightOf = (destination: WeightedDestination): number => destination.weight ?? DEFAULT_WEIGHT;
