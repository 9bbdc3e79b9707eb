import { type EndpointLocality, fitsLocality, type LocalityDistribution } from "@tulle/policy";
import { healthPercentOf } from "./priority-load.ts";

/** The endpoints of one locality, counted. */
export interface LocalityCount {
  readonly locality: EndpointLocality | undefined;
  readonly healthy: number;
  readonly total: number;
  /** Sum of the endpoints' weights. */
  readonly weight: number;
}

/**
 * Percent of the calls by locality (Envoy): its weight times what it can bear, against the sum of them; `undefined` where
 * nobody with a weight is left.
 */
export const shareByWeight = (
  localities: readonly LocalityCount[],
  weights: readonly number[],
  overprovisioningPercent: number,
): readonly number[] | undefined => {
  const effective = localities.map(
    (each, place) => (weights[place] ?? 0) * healthPercentOf(each, overprovisioningPercent),
  );
  const sum = effective.reduce((total, each) => total + each, 0);
  return sum === 0 ? undefined : effective.map((each) => (each * 100) / sum);
};

/** The weight of each locality: that of the first pattern that fits it, or its endpoints' together. */
export const weightsByPattern = (
  localities: readonly LocalityCount[],
  patterns: Readonly<Record<string, number>>,
): readonly number[] => {
  const written = Object.entries(patterns);
  return localities.map(
    ({ locality, weight }) => written.find(([pattern]) => fitsLocality(pattern, locality))?.[1] ?? weight,
  );
};

/**
 * The weight of each locality under a distribution: localities that one pattern means share its percent by their endpoints'
 * weights, and a locality belongs to the first pattern that fits it. What no pattern means weighs nothing.
 */
export const weightsByDistribution = (
  localities: readonly LocalityCount[],
  to: LocalityDistribution["to"],
): readonly number[] => {
  const written = Object.entries(to);
  const patternOf = localities.map(({ locality }) => written.findIndex(([pattern]) => fitsLocality(pattern, locality)));
  return localities.map(({ weight }, place) => {
    const pattern = patternOf[place] ?? -1;
    const percent = written[pattern]?.[1];
    if (percent === undefined) return 0;
    const together = localities.reduce(
      (sum, each, other) => (patternOf[other] === pattern ? sum + each.weight : sum),
      0,
    );
    return (percent * weight) / together;
  });
};

/** The distribution of callers in a locality: the first whose `from` fits it. */
export const distributionOf = (
  rules: readonly LocalityDistribution[],
  own: EndpointLocality | undefined,
): LocalityDistribution | undefined => rules.find(({ from }) => fitsLocality(from, own));
