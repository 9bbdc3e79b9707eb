import { DEFAULT_OVERPROVISIONING_PERCENT, type EffectiveLocality, type Endpoint, localityName } from "@tulle/policy";
import { isKnown, nearnessOf, type Place, type Tier, tierByLabels, tierByLocality } from "./failover-tiers.ts";
import { distributionOf, shareByWeight, weightsByDistribution, weightsByPattern } from "./locality-weights.ts";
import { healthPercentOf, priorityLoad, type TierHealth, type TierLoad } from "./priority-load.ts";
import { zoneShares } from "./zone-shares.ts";

/** Endpoints that a strategy does not tell apart, counted. */
export interface GroupCount extends TierHealth {
  readonly name: string;
  /** The locality of all of them, where a strategy groups by it. */
  readonly locality: Endpoint["locality"];
  /** Sum of the endpoints' weights. */
  readonly weight: number;
}

/** What each group gets, or why localities do not matter now. */
export type Sharing =
  | { readonly loads: readonly TierLoad[] }
  /** In words. */
  | { readonly why: string };

/** What a policy means for a caller at its place. Pure. */
export interface LocalityStrategy {
  readonly mode: EffectiveLocality["mode"];
  /** Why it says nothing to this caller, in words; `undefined`: it does. */
  readonly idle: string | undefined;
  /** Share of the calls for which localities matter, percent. */
  readonly enabledPercent: number;
  /** What the endpoint is grouped under. Groups are preferred in their order where calls are tried again. */
  groupOf(endpoint: Endpoint): Tier;
  /** @param groups in their order. */
  share(groups: readonly GroupCount[], panicPercent: number, callers: ReadonlyMap<string, number> | undefined): Sharing;
}

/** Compiles a policy for a caller. */
export const compileLocality = (policy: EffectiveLocality, place: Place): LocalityStrategy => {
  const { locality: own } = place;
  const unknown = isKnown(own) ? undefined : "this member does not know its own locality";
  /** Groups of one locality each, the nearest first. */
  const byLocality = ({ locality }: Endpoint): Tier => ({
    name: localityName(locality) || "unknown",
    order: nearnessOf(own, locality).order,
  });
  switch (policy.mode) {
    case "failover": {
      const { failover, failoverPriority, overprovisioningPercent: over } = policy;
      const groupOf =
        failoverPriority === undefined ? tierByLocality(place, failover) : tierByLabels(place, failoverPriority);
      const share = (groups: readonly GroupCount[], panicPercent: number): Sharing => ({
        loads: priorityLoad(groups, over, panicPercent),
      });
      const idle = failoverPriority === undefined ? unknown : undefined;
      return { mode: policy.mode, idle, enabledPercent: 100, groupOf, share };
    }
    case "distribute": {
      const { distribute, overprovisioningPercent: over } = policy;
      const rule = distributionOf(distribute, own);
      const idle = rule === undefined ? "no rule of distribute names this member's locality" : undefined;
      const share: LocalityStrategy["share"] = (groups, panicPercent) =>
        byWeights(groups, weightsByDistribution(groups, rule?.to ?? {}), over, panicPercent);
      return { mode: policy.mode, idle, enabledPercent: 100, groupOf: byLocality, share };
    }
    case "weighted": {
      const { weights, overprovisioningPercent: over } = policy;
      const share: LocalityStrategy["share"] = (groups, panicPercent) =>
        byWeights(groups, weightsByPattern(groups, weights), over, panicPercent);
      return { mode: policy.mode, idle: undefined, enabledPercent: 100, groupOf: byLocality, share };
    }
    case "zone-aware": {
      const { routingEnabledPercent, ...rest } = policy;
      const groupOf = (endpoint: Endpoint): Tier => ({
        name: zoneOf(endpoint.locality),
        order: nearnessOf(own, endpoint.locality).order,
      });
      const share: LocalityStrategy["share"] = (groups, panicPercent, callers) => {
        const zones = groups.map(({ name, healthy }) => ({ zone: name, healthy }));
        const found = panicOf(groups, panicPercent) ?? zoneShares(zones, { ...rest, own: zoneOf(own), callers });
        return "why" in found ? found : withShares(groups, found.percents);
      };
      return { mode: policy.mode, idle: unknown, enabledPercent: routingEnabledPercent, groupOf, share };
    }
  }
};

/** A zone's name: `region/zone`. Zones of two regions may have one name. */
export const zoneOf = (locality: Endpoint["locality"]): string =>
  localityName({ region: locality?.region ?? "", zone: locality?.zone ?? "" }) || "unknown";

const byWeights = (
  groups: readonly GroupCount[],
  weights: readonly number[],
  overprovisioningPercent: number,
  panicPercent: number,
): Sharing => {
  const panic = panicOf(groups, panicPercent);
  if (panic !== undefined) return panic;
  const percents = shareByWeight(groups, weights, overprovisioningPercent);
  return percents === undefined
    ? { why: "nobody is left where the policy sends calls" }
    : withShares(groups, percents, overprovisioningPercent);
};

/** So few are left of all that neither health nor locality matters (Envoy). */
const panicOf = (groups: readonly GroupCount[], panicPercent: number): { readonly why: string } | undefined => {
  const healthy = groups.reduce((sum, group) => sum + group.healthy, 0);
  const total = groups.reduce((sum, group) => sum + group.total, 0);
  const bears = healthPercentOf({ healthy, total }, DEFAULT_OVERPROVISIONING_PERCENT) >= 100;
  return !bears && healthy * 100 < panicPercent * total
    ? { why: `panic: ${healthy} of ${total} endpoints are left` }
    : undefined;
};

const withShares = (
  groups: readonly GroupCount[],
  percents: readonly number[],
  overprovisioningPercent = 100,
): Sharing => ({
  loads: groups.map((group, place) => ({
    healthPercent: healthPercentOf(group, overprovisioningPercent),
    loadPercent: percents[place] ?? 0,
    panics: false,
  })),
});
