import { numberLimits } from "./field-limits.ts";
import { wrongLocalityPattern } from "./locality-pattern.ts";
import type { Check } from "./policy-check.ts";

/**
 * How calls prefer some localities to others. Off where nothing is said: with one instance in each zone "nearest first" would
 * send all calls of a zone to one instance. Endpoints tell their locality when they register, the caller its own.
 */
export type Locality =
  /**
   * The nearest tier first, by Envoy's priority load: a tier keeps all calls while `overprovisioningPercent` of its healthy
   * share is 100 or more, and hands the rest to the next one. Tiers are the caller's subzone, zone, region, and elsewhere
   * (Istio), or those of `failoverPriority`.
   */
  | {
      readonly mode: "failover";
      /** Where calls of a region go before they go anywhere else outside it (Istio). At most 100. @default none */
      readonly failover?: readonly RegionFailover[];
      /**
       * Labels, as `key` (the caller's own value) or `key=value`, in the order of their weight: endpoints that carry the first n
       * of them are nearer than those that carry fewer (Istio). `topology.kubernetes.io/region`, `topology.kubernetes.io/zone`
       * and `topology.istio.io/subzone` mean the locality. At most 16. Instead of the tiers by locality, not with `failover`.
       */
      readonly failoverPriority?: readonly string[];
      /** Range 100 to 1000. @default 140 (Envoy) */
      readonly overprovisioningPercent?: number;
    }
  /** Fixed shares by where the caller is (Istio). Callers that no `from` names are not bound. At most 100 rules. */
  | {
      readonly mode: "distribute";
      readonly distribute: readonly LocalityDistribution[];
      /** Range 100 to 1000. @default 140 (Envoy) */
      readonly overprovisioningPercent?: number;
    }
  /** Shares by the weight and the health of each locality, wherever the caller is (Envoy's locality-weighted balancing). */
  | {
      readonly mode: "weighted";
      /** By `region/zone/subzone`, with `*` at the end for all below it; the first that fits counts. Range 0 to 1,000,000. @default the sum of the endpoints' weights */
      readonly weights?: Readonly<Record<string, number>>;
      /** Range 100 to 1000. @default 140 (Envoy) */
      readonly overprovisioningPercent?: number;
    }
  /** As many calls within the caller's zone as keep all endpoints equally loaded (Envoy's zone-aware routing). */
  | {
      readonly mode: "zone-aware";
      /** Fewer endpoints than this: zones do not matter. Range 1 to 10,000. @default 6 (Envoy) */
      readonly minimumClusterSize?: number;
      /** Share of calls for which zones matter. Range 0 to 100. @default 100 (Envoy) */
      readonly routingEnabledPercent?: number;
      /** So many healthy endpoints in the caller's zone take all of its calls. Range 1 to 10,000. @default never (Envoy) */
      readonly forceLocalZoneMinimum?: number;
    };

/** A region's calls and where they go when it fails. */
export interface RegionFailover {
  /** The caller's region. */
  readonly from: string;
  /** The region that follows its own. */
  readonly to: string;
}

/** Shares of one part of the callers. */
export interface LocalityDistribution {
  /** Where the callers are: `region/zone/subzone`, `region/zone/*`, `region/*` or `*`. The first rule that fits counts. */
  readonly from: string;
  /** Percent by locality, written as `from`; together 100. Range 0 to 100. */
  readonly to: Readonly<Record<string, number>>;
}

/** How far healthy endpoints may make up for others: 1.4 times (Envoy). */
export const DEFAULT_OVERPROVISIONING_PERCENT = 140;

/** Endpoints below which zones do not matter: 6 (Envoy). */
export const DEFAULT_MINIMUM_CLUSTER_SIZE = 6;

/** Rules that one field may hold. */
export const MAX_LOCALITY_RULES = 100;

/** Labels that one order may hold. */
export const MAX_FAILOVER_LABELS = 16;

/** Locality with every field filled in. */
export type EffectiveLocality =
  | {
      readonly mode: "failover";
      readonly failover: readonly RegionFailover[];
      /** `undefined`: tiers by locality. */
      readonly failoverPriority: readonly string[] | undefined;
      readonly overprovisioningPercent: number;
    }
  | {
      readonly mode: "distribute";
      readonly distribute: readonly LocalityDistribution[];
      readonly overprovisioningPercent: number;
    }
  | {
      readonly mode: "weighted";
      readonly weights: Readonly<Record<string, number>>;
      readonly overprovisioningPercent: number;
    }
  | {
      readonly mode: "zone-aware";
      readonly minimumClusterSize: number;
      readonly routingEnabledPercent: number;
      /** `undefined`: never. */
      readonly forceLocalZoneMinimum: number | undefined;
    };

/** The locality of a service's calls; `undefined` where it does not matter. */
export const effectiveLocality = ({
  locality,
}: {
  readonly locality?: Locality | false | undefined;
}): EffectiveLocality | undefined => {
  if (locality === undefined || locality === false) return undefined;
  if (locality.mode === "zone-aware") {
    return {
      mode: "zone-aware",
      minimumClusterSize: locality.minimumClusterSize ?? DEFAULT_MINIMUM_CLUSTER_SIZE,
      routingEnabledPercent: locality.routingEnabledPercent ?? 100,
      forceLocalZoneMinimum: locality.forceLocalZoneMinimum,
    };
  }
  const overprovisioningPercent = locality.overprovisioningPercent ?? DEFAULT_OVERPROVISIONING_PERCENT;
  switch (locality.mode) {
    case "failover":
      return {
        mode: "failover",
        failover: locality.failover ?? [],
        failoverPriority: locality.failoverPriority,
        overprovisioningPercent,
      };
    case "distribute":
      return { mode: "distribute", distribute: locality.distribute, overprovisioningPercent };
    case "weighted":
      return { mode: "weighted", weights: locality.weights ?? {}, overprovisioningPercent };
  }
};

/** Whether the figures make sense, and no two orders contradict each other. */
export const checkLocality = (locality: Locality | false | undefined, check: Check): void => {
  if (locality === undefined || locality === false) return;
  const at = "locality";
  switch (locality.mode) {
    case "failover":
      checkFailover(locality, check);
      break;
    case "distribute":
      checkCount(locality.distribute, MAX_LOCALITY_RULES, "distribute", check);
      check.list([at, "distribute"], locality.distribute, (path, { from, to }) => {
        check.text([...path, "from"], from, wrongLocalityPattern);
        checkShares([...path, "to"], to, check);
      });
      break;
    case "weighted":
      checkCount(Object.keys(locality.weights ?? {}), MAX_LOCALITY_RULES, "weights", check);
      for (const [pattern, weight] of Object.entries(locality.weights ?? {})) {
        check.text([at, "weights", pattern], pattern, wrongLocalityPattern);
        check.number([at, "weights", pattern], weight, numberLimits.weight);
      }
      break;
    case "zone-aware":
      check.number([at, "minimumClusterSize"], locality.minimumClusterSize, numberLimits.minimumClusterSize);
      check.number([at, "routingEnabledPercent"], locality.routingEnabledPercent, numberLimits.percent);
      check.number([at, "forceLocalZoneMinimum"], locality.forceLocalZoneMinimum, numberLimits.minimumClusterSize);
      return;
    default:
      return;
  }
  check.number([at, "overprovisioningPercent"], locality.overprovisioningPercent, numberLimits.overprovisioningPercent);
};

const checkFailover = (locality: Extract<Locality, { mode: "failover" }>, check: Check): void => {
  const { failover, failoverPriority } = locality;
  checkCount(failover, MAX_LOCALITY_RULES, "failover", check);
  const seen = new Set<string>();
  check.list(["locality", "failover"], failover, (path, { from, to }) => {
    for (const [field, region] of [["from", from] as const, ["to", to] as const]) {
      if (region === "" || region.includes("/")) {
        check.report([...path, field], `"${region}" is not a region: write its name alone, without "/"`);
      }
    }
    if (from === to) check.report([...path, "to"], "a region cannot stand in for itself");
    if (seen.has(from)) check.report([...path, "from"], `where calls of "${from}" go is said twice`);
    seen.add(from);
  });
  checkCount(failoverPriority, MAX_FAILOVER_LABELS, "failoverPriority", check);
  check.list(["locality", "failoverPriority"], failoverPriority, (path, label) => {
    if (label === "" || label.startsWith("=")) {
      check.report(path, `"${label}" names no label: write "key" or "key=value"`);
    }
  });
  if (failover !== undefined && failoverPriority !== undefined) {
    check.report(
      ["locality", "failoverPriority"],
      "it orders by labels what failover orders by regions: write one of them",
    );
  }
};

const checkShares = (path: readonly (string | number)[], to: Readonly<Record<string, number>>, check: Check): void => {
  const shares = Object.entries(to);
  for (const [pattern, percent] of shares) {
    check.text([...path, pattern], pattern, wrongLocalityPattern);
    check.number([...path, pattern], percent, numberLimits.percent);
  }
  const sum = shares.reduce((total, [, percent]) => total + percent, 0);
  if (Math.abs(sum - 100) > 1e-6) check.report(path, `the shares are ${sum} percent together, not 100`);
};

const checkCount = (items: readonly unknown[] | undefined, most: number, field: string, check: Check): void => {
  if ((items?.length ?? 0) <= most) return;
  check.report(["locality", field], `it has ${items?.length} entries, more than ${most}`);
};
