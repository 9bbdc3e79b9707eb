import { type Duration, durationOr, parseDuration } from "./duration.ts";
import { durationLimits, numberLimits } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { ServicePolicy } from "./service-policy.ts";

/** How an endpoint is chosen. */
export type Balancer =
  /** Two random endpoints, the one with less `latency × (in flight + 1)` wins. The default (Linkerd, Finagle). */
  | {
      readonly algorithm: "peak-ewma";
      /** How fast an old latency is forgotten. Range 1ms to 1h. @default "10s" */
      readonly decay?: Duration;
      /** The latency assumed of an endpoint that has answered nothing yet. Range 0s to 1m. @default "30ms" */
      readonly defaultRtt?: Duration;
    }
  /** One after the other; endpoints of different weights by their weights, evenly spaced. */
  | { readonly algorithm: "round-robin" }
  /**
   * The fewest calls in flight among some that chance chose. Sets of up to three endpoints are compared whole. Where weights
   * differ: turns by `weight / (in flight + 1) ^ activeRequestBias` (Envoy).
   */
  | {
      readonly algorithm: "least-request";
      /** Endpoints that are compared. Range 2 to 100. @default 2 (Envoy, gRPC) */
      readonly choiceCount?: number;
      /** `full-scan` compares all. @default "n-choices" (Envoy) */
      readonly selection?: "n-choices" | "full-scan";
      /** How much calls in flight count against a weight. Range 0 to 10. @default 1 (Envoy) */
      readonly activeRequestBias?: number;
    }
  /** By chance and weight. */
  | { readonly algorithm: "random" }
  /** Equal keys (`hashKey`) go to equal endpoints, by a ketama ring of XXH64, exactly as Envoy's and gRPC's. */
  | {
      readonly algorithm: "ring-hash";
      /** Points on the ring, at least. Range 1 to 8,388,608. @default 1024 (Envoy, gRPC) */
      readonly minimumRingSize?: number;
      /** Points on the ring, at most. Range 1 to 8,388,608. @default 8388608 (Envoy) */
      readonly maximumRingSize?: number;
      /** Bounded load: an endpoint gets at most so many percent of the mean of calls in flight. Range 100 to 10,000. @default off (Envoy) */
      readonly balanceFactor?: number;
    }
  /** Equal keys (`hashKey`) go to equal endpoints, by a Maglev table of XXH64, exactly as Envoy's. Faster than a ring; moves a few more keys when endpoints change. */
  | {
      readonly algorithm: "maglev";
      /** A prime. Range 3 to 5,000,011. @default 65537 (Envoy) */
      readonly tableSize?: number;
      /** As that of `ring-hash`. @default off (Envoy) */
      readonly balanceFactor?: number;
    }
  /** One of the application's own, which each calling process was given as the option `balancers`. A process that was not refuses the policy. */
  | {
      readonly algorithm: "custom";
      /** As the option names it: letters, digits, "-", "_" and ".", at most 63 characters. */
      readonly name: string;
    }
  /**
   * Turns by what members report that they can do: `qps / (utilization + eps / qps × errorUtilizationPenalty)` (gRPC A58).
   * Members report in their replies, to verified callers.
   */
  | {
      readonly algorithm: "weighted-round-robin";
      /** How long an endpoint must have reported before its weight counts. Range 0s to 10m. @default "10s" (gRPC, Envoy) */
      readonly blackoutPeriod?: Duration;
      /** How long a report counts. Range 1s to 1h. @default "3m" (gRPC, Envoy) */
      readonly weightExpirationPeriod?: Duration;
      /** How often weights are worked out anew. Range 100ms to 1m. @default "1s" (gRPC, Envoy) */
      readonly weightUpdatePeriod?: Duration;
      /** How much errors count against a weight. Range 0 to 100. @default 1 (gRPC, Envoy) */
      readonly errorUtilizationPenalty?: number;
    }
  /**
   * By what members report in their replies, to verified callers: of those that are not hot the one with the least latency,
   * where all are hot the one with the least in flight (Prequal). Without fresh reports two choices by peak EWMA.
   */
  | {
      readonly algorithm: "prequal";
      /** An endpoint is hot with more in flight than this quantile of what was reported lately; 0: only requests in flight count, 1: only latency. Range 0 to 1. @default 0.84 (Prequal) */
      readonly inFlightQuantile?: number;
    };

/** A newcomer's, or a recovered endpoint's, way to its whole share of calls. */
export interface SlowStart {
  /** Time until it has its whole share. Range 1s to 1h. */
  readonly window: Duration;
  /** 1: the share grows evenly; above 1 faster at first. Range 0.1 to 10. @default 1 (Envoy) */
  readonly aggression?: number;
  /** The share that it begins with. Range 0 to 100. @default 10 (Envoy) */
  readonly minimumPercent?: number;
}

/** How fast an old latency is forgotten: 10 s (Linkerd). */
export const DEFAULT_DECAY_MS = 10_000;

/** What an endpoint without figures is assumed to take: 30 ms (Linkerd). */
export const DEFAULT_RTT_MS = 30;

/** Endpoints that least request compares: 2 (Envoy, gRPC). */
export const DEFAULT_CHOICE_COUNT = 2;

/** How much calls in flight count against a weight: 1 (Envoy). */
export const DEFAULT_ACTIVE_REQUEST_BIAS = 1;

/** Points on a ring, at least: 1024 (Envoy, gRPC). */
export const DEFAULT_MINIMUM_RING_SIZE = 1_024;

/** Points on a ring, at most: 8 M (Envoy). */
export const DEFAULT_MAXIMUM_RING_SIZE = 8_388_608;

/** Places of a Maglev table: 65,537 (Envoy). */
export const DEFAULT_MAGLEV_TABLE_SIZE = 65_537;

/** How long an endpoint must have reported before its weight counts: 10 s (gRPC A58). */
export const DEFAULT_BLACKOUT_MS = 10_000;

/** How long a report counts: 3 min (gRPC A58). */
export const DEFAULT_WEIGHT_EXPIRATION_MS = 180_000;

/** How often weights are worked out anew: 1 s (gRPC A58). */
export const DEFAULT_WEIGHT_UPDATE_MS = 1_000;

/** How much errors count against a weight: 1 (gRPC A58). */
export const DEFAULT_ERROR_PENALTY = 1;

/** Where hot begins: 2^-0.25, as in Prequal's evaluation. */
export const DEFAULT_IN_FLIGHT_QUANTILE = 0.84;

/** How evenly a slow start goes: 1 (Envoy). */
export const DEFAULT_SLOW_START_AGGRESSION = 1;

/** The share that a slow start begins with: 10 % (Envoy). */
export const DEFAULT_SLOW_START_PERCENT = 10;

/** A slow start with every field filled in. */
export interface EffectiveSlowStart {
  readonly windowMs: number;
  readonly aggression: number;
  /** 0 to 1. */
  readonly minimumShare: number;
}

/** A balancer that this version has, with every field filled in. What is off is absent. */
export type EffectiveBalancer = {
  readonly slowStart?: EffectiveSlowStart;
  /** Endpoints that each client calls, where there are more. */
  readonly subsetSize?: number;
} & (
  | { readonly algorithm: "peak-ewma"; readonly decayMs: number; readonly defaultRttMs: number }
  | { readonly algorithm: "round-robin" }
  | {
      readonly algorithm: "least-request";
      readonly choiceCount: number;
      readonly selection: "n-choices" | "full-scan";
      readonly activeRequestBias: number;
    }
  | { readonly algorithm: "random" }
  | {
      readonly algorithm: "ring-hash";
      readonly minimumRingSize: number;
      readonly maximumRingSize: number;
      /** Times the mean; `undefined`: unbounded. */
      readonly balanceFactor: number | undefined;
    }
  | { readonly algorithm: "maglev"; readonly tableSize: number; readonly balanceFactor: number | undefined }
  | {
      readonly algorithm: "weighted-round-robin";
      readonly blackoutMs: number;
      readonly expirationMs: number;
      readonly updateMs: number;
      readonly errorPenalty: number;
    }
  | { readonly algorithm: "prequal"; readonly inFlightQuantile: number }
  | { readonly algorithm: "custom"; readonly name: string }
);

/** The balancer of a service. */
export const effectiveBalancer = (service: ServicePolicy): EffectiveBalancer => {
  const common = {
    ...(service.slowStart ? { slowStart: effectiveSlowStart(service.slowStart) } : {}),
    ...(service.subsetting === undefined ? {} : { subsetSize: service.subsetting.size }),
  };
  const balancer = service.balancer ?? { algorithm: "peak-ewma" };
  switch (balancer.algorithm) {
    case "peak-ewma":
      return {
        algorithm: "peak-ewma",
        decayMs: durationOr(balancer.decay, DEFAULT_DECAY_MS),
        defaultRttMs: durationOr(balancer.defaultRtt, DEFAULT_RTT_MS),
        ...common,
      };
    case "least-request":
      return {
        algorithm: "least-request",
        choiceCount: balancer.choiceCount ?? DEFAULT_CHOICE_COUNT,
        selection: balancer.selection ?? "n-choices",
        activeRequestBias: balancer.activeRequestBias ?? DEFAULT_ACTIVE_REQUEST_BIAS,
        ...common,
      };
    case "ring-hash":
      return {
        algorithm: "ring-hash",
        minimumRingSize: balancer.minimumRingSize ?? DEFAULT_MINIMUM_RING_SIZE,
        maximumRingSize: balancer.maximumRingSize ?? DEFAULT_MAXIMUM_RING_SIZE,
        balanceFactor: timesOf(balancer.balanceFactor),
        ...common,
      };
    case "maglev":
      return {
        algorithm: "maglev",
        tableSize: balancer.tableSize ?? DEFAULT_MAGLEV_TABLE_SIZE,
        balanceFactor: timesOf(balancer.balanceFactor),
        ...common,
      };
    case "custom":
      return { algorithm: "custom", name: balancer.name, ...common };
    case "round-robin":
    case "random":
      return { algorithm: balancer.algorithm, ...common };
    case "weighted-round-robin":
      return {
        algorithm: "weighted-round-robin",
        blackoutMs: durationOr(balancer.blackoutPeriod, DEFAULT_BLACKOUT_MS),
        expirationMs: durationOr(balancer.weightExpirationPeriod, DEFAULT_WEIGHT_EXPIRATION_MS),
        updateMs: durationOr(balancer.weightUpdatePeriod, DEFAULT_WEIGHT_UPDATE_MS),
        errorPenalty: balancer.errorUtilizationPenalty ?? DEFAULT_ERROR_PENALTY,
        ...common,
      };
    case "prequal":
      return {
        algorithm: "prequal",
        inFlightQuantile: balancer.inFlightQuantile ?? DEFAULT_IN_FLIGHT_QUANTILE,
        ...common,
      };
  }
};

const timesOf = (percent: number | undefined): number | undefined =>
  percent === undefined ? undefined : percent / 100;

const effectiveSlowStart = ({ window, aggression, minimumPercent }: SlowStart): EffectiveSlowStart => ({
  windowMs: parseDuration(window),
  aggression: aggression ?? DEFAULT_SLOW_START_AGGRESSION,
  minimumShare: (minimumPercent ?? DEFAULT_SLOW_START_PERCENT) / 100,
});

/** Whether the figures of a balancer and of a slow start make sense. */
export const checkBalancer = (
  { balancer, slowStart }: Pick<ServicePolicy, "balancer" | "slowStart">,
  check: Check,
): void => {
  const at = "balancer";
  switch (balancer?.algorithm) {
    case "peak-ewma":
      check.duration([at, "decay"], balancer.decay, durationLimits.decay);
      check.duration([at, "defaultRtt"], balancer.defaultRtt, durationLimits.defaultRtt);
      break;
    case "least-request":
      check.number([at, "choiceCount"], balancer.choiceCount, numberLimits.choiceCount);
      check.number([at, "activeRequestBias"], balancer.activeRequestBias, numberLimits.activeRequestBias);
      break;
    case "ring-hash":
      check.number([at, "minimumRingSize"], balancer.minimumRingSize, numberLimits.ringSize);
      check.number([at, "maximumRingSize"], balancer.maximumRingSize, numberLimits.ringSize);
      check.number([at, "balanceFactor"], balancer.balanceFactor, numberLimits.balanceFactor);
      if (
        (balancer.minimumRingSize ?? DEFAULT_MINIMUM_RING_SIZE) >
        (balancer.maximumRingSize ?? DEFAULT_MAXIMUM_RING_SIZE)
      ) {
        check.report([at, "minimumRingSize"], "the ring's least size is above its greatest");
      }
      break;
    case "maglev":
      check.number([at, "tableSize"], balancer.tableSize, numberLimits.maglevTableSize);
      check.number([at, "balanceFactor"], balancer.balanceFactor, numberLimits.balanceFactor);
      if (balancer.tableSize !== undefined && !isPrime(balancer.tableSize)) {
        check.report([at, "tableSize"], `${balancer.tableSize} is not a prime, so some places would never be reached`);
      }
      break;
    case "weighted-round-robin":
      check.duration([at, "blackoutPeriod"], balancer.blackoutPeriod, durationLimits.blackoutPeriod);
      check.duration([at, "weightExpirationPeriod"], balancer.weightExpirationPeriod, durationLimits.weightExpiration);
      check.duration([at, "weightUpdatePeriod"], balancer.weightUpdatePeriod, durationLimits.weightUpdate);
      check.number([at, "errorUtilizationPenalty"], balancer.errorUtilizationPenalty, numberLimits.errorPenalty);
      break;
    case "prequal":
      check.number([at, "inFlightQuantile"], balancer.inFlightQuantile, numberLimits.inFlightQuantile);
      break;
    case "custom":
      check.text([at, "name"], balancer.name, wrongBalancerName);
      break;
    default:
  }
  if (slowStart === undefined || slowStart === false) return;
  check.duration(["slowStart", "window"], slowStart.window, durationLimits.slowStartWindow);
  check.number(["slowStart", "aggression"], slowStart.aggression, numberLimits.aggression);
  check.number(["slowStart", "minimumPercent"], slowStart.minimumPercent, numberLimits.minimumPercent);
};

const balancerName = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

/** What is wrong with the name of a balancer of one's own, if anything. */
export const wrongBalancerName = (text: string): string | undefined =>
  balancerName.test(text)
    ? undefined
    : `"${text}" is not the name of a balancer: write letters, digits, "-", "_" and ".", at most 63 characters`;

const isPrime = (number: number): boolean => {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false;
  return number > 1;
};
