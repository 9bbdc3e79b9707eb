/** A zone as zone-aware routing counts it. */
export interface ZoneCount {
  /** `region/zone`. */
  readonly zone: string;
  readonly healthy: number;
}

/** What zone-aware routing is asked with. */
export interface ZoneRouting {
  /** The caller's own zone. */
  readonly own: string;
  /** How many of the calling service's instances are in each zone; `undefined`: as many in each. */
  readonly callers: ReadonlyMap<string, number> | undefined;
  readonly minimumClusterSize: number;
  readonly forceLocalZoneMinimum: number | undefined;
}

/** Percent of the calls by zone, or why zones do not matter now. */
export type ZoneShares =
  | { readonly percents: readonly number[] }
  /** In words, after "zones do not matter:". */
  | { readonly why: string };

/**
 * Envoy's zone-aware routing: a zone that has as large a share of the endpoints as of the callers takes all of its callers'
 * calls; one with a smaller share takes as many as keep its endpoints as busy as all others, and the rest goes to the zones
 * that have endpoints to spare, in proportion to what they have to spare.
 */
export const zoneShares = (zones: readonly ZoneCount[], routing: ZoneRouting): ZoneShares => {
  const { own, minimumClusterSize, forceLocalZoneMinimum } = routing;
  const healthy = zones.reduce((sum, zone) => sum + zone.healthy, 0);
  const here = zones.find(({ zone }) => zone === own)?.healthy ?? 0;
  if (here === 0) return { why: `nobody is left in ${own}` };
  if (zones.filter((zone) => zone.healthy > 0).length < 2) return { why: "all are in one zone" };
  if (healthy < minimumClusterSize) return { why: `${healthy} endpoints are fewer than ${minimumClusterSize}` };
  const direct = zones.map(({ zone }) => (zone === own ? 100 : 0));
  if (forceLocalZoneMinimum !== undefined && here >= forceLocalZoneMinimum) return { percents: direct };

  const callersOf = callerShares(zones, routing);
  const endpointsOf = zones.map((zone) => zone.healthy / healthy);
  const ownAt = zones.findIndex(({ zone }) => zone === own);
  const callers = callersOf[ownAt] ?? 0;
  const endpoints = endpointsOf[ownAt] ?? 0;
  if (endpoints >= callers) return { percents: direct };
  const kept = (100 * endpoints) / callers;
  const spare = zones.map((_, place) => Math.max(0, (endpointsOf[place] ?? 0) - (callersOf[place] ?? 0)));
  const allSpare = spare.reduce((sum, each) => sum + each, 0);
  return {
    percents: zones.map((_, place) => (place === ownAt ? kept : ((100 - kept) * (spare[place] ?? 0)) / allSpare)),
  };
};

/**
 * Share of the callers in each zone. A caller whose own zone is not among the known ones is not registered itself: then what is
 * known says nothing of it.
 */
const callerShares = (zones: readonly ZoneCount[], { own, callers }: ZoneRouting): readonly number[] => {
  if (callers === undefined || (callers.get(own) ?? 0) === 0) return zones.map(() => 1 / zones.length);
  const all = [...callers.values()].reduce((sum, each) => sum + each, 0);
  return zones.map(({ zone }) => (callers.get(zone) ?? 0) / all);
};
