import { type Duration, durationOr, parseDuration } from "./duration.ts";
import { durationLimits, numberLimits } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { ServicePolicy } from "./service-policy.ts";

/**
 * Endpoints that fail are left out for a while, by what this client sees of them (Envoy's outlier detection). Ejected
 * are at most `maxEjectionPercent` of the endpoints, but one where there are two, and never the last.
 */
export interface OutlierDetection {
  /** Answers of 500 and above in a row; 0 turns it off. Failures without an answer count too, unless they are split off. Range 0 to 1000. @default 5 (Envoy) */
  readonly consecutive5xx?: number;
  /** Answers of 502, 503 and 504 in a row; 0 turns it off. Range 0 to 1000. @default 5 (Envoy's threshold) */
  readonly consecutiveGatewayErrors?: number;
  /** Failures without an answer (no connection, reset, timeout) in a row, where they are split off; 0 turns it off. Range 0 to 1000. @default 5 (Envoy) */
  readonly consecutiveLocalOriginFailures?: number;
  /** Failures without an answer are counted by themselves, not as answers of 500 and above. @default false (Envoy) */
  readonly splitLocalOriginErrors?: boolean;
  /** How often success rates are compared. Range 100ms to 1h. @default "10s" (Envoy) */
  readonly interval?: Duration;
  /** The first ejection; each further one is longer by as much. Range 1ms to 1h. @default "30s" (Envoy) */
  readonly baseEjectionTime?: Duration;
  /** No ejection is longer. Range 1ms to 24h. @default "300s", or the base if that is longer (Envoy) */
  readonly maxEjectionTime?: Duration;
  /** Up to this is added to each ejection by chance, so that clients do not come back together. Range 0s to 1h. @default "0s" (Envoy) */
  readonly maxEjectionTimeJitter?: Duration;
  /** Share of the endpoints that may be ejected at a time. Range 0 to 100. @default 10 (Envoy) */
  readonly maxEjectionPercent?: number;
  /** A passed health check ends an ejection before its time. @default true (Envoy) */
  readonly healthCheckUnejects?: boolean;
  /** Ejects whose success rate is below the mean by so many standard deviations; `false` turns it off. */
  readonly successRate?: SuccessRateDetection | false;
  /** Ejects whose share of failures is too high by itself; `false` turns it off. */
  readonly failurePercentage?: FailurePercentageDetection | false;
}

/** Endpoints are compared with each other. */
export interface SuccessRateDetection {
  /** Endpoints with enough calls, below which nothing is compared. Range 2 to 10,000. @default 5 (Envoy) */
  readonly minimumHosts?: number;
  /** Calls within an interval, below which an endpoint is not compared. Range 1 to 1,000,000. @default 100 (Envoy) */
  readonly requestVolume?: number;
  /** Standard deviations below the mean. Range 0 to 10. @default 1.9 (Envoy) */
  readonly stdevFactor?: number;
}

/** Endpoints are judged by themselves. */
export interface FailurePercentageDetection {
  /** Failures in percent from which an endpoint is ejected. Range 0 to 100. @default 85 (Envoy) */
  readonly threshold?: number;
  /** Endpoints with enough calls, below which nobody is judged. Range 1 to 10,000. @default 5 (Envoy) */
  readonly minimumHosts?: number;
  /** Calls within an interval, or within `window`, below which an endpoint is not judged. Range 1 to 1,000,000. @default 50 (Envoy) */
  readonly requestVolume?: number;
  /**
   * Endpoints are judged at each failure, over the calls of the last so long, instead of at the end of each interval. Range
   * 100ms to 1h. @default at the end of each interval (Envoy)
   */
  readonly window?: Duration;
}

/** Failures in a row that eject: 5 (Envoy). */
export const DEFAULT_CONSECUTIVE_FAILURES = 5;

/** How often success rates are compared: 10 s (Envoy). */
export const DEFAULT_OUTLIER_INTERVAL_MS = 10_000;

/** The first ejection: 30 s (Envoy). */
export const DEFAULT_BASE_EJECTION_MS = 30_000;

/** The longest ejection: 300 s (Envoy). */
export const DEFAULT_MAX_EJECTION_MS = 300_000;

/** Share of the endpoints that may be ejected at a time: 10 % (Envoy), but one where there are two (gRPC A50). */
export const DEFAULT_MAX_EJECTION_PERCENT = 10;

/** Success rates are compared among 5 endpoints of 100 calls each, by 1.9 standard deviations (Envoy). */
export const DEFAULT_SUCCESS_RATE = { minimumHosts: 5, requestVolume: 100, stdevFactor: 1.9 } as const;

/** Shares of failures are judged among 5 endpoints of 50 calls each, from 85 % (Envoy). */
export const DEFAULT_FAILURE_PERCENTAGE = { threshold: 85, minimumHosts: 5, requestVolume: 50 } as const;

/** Outlier detection with every field filled in. */
export interface EffectiveOutlierDetection {
  readonly consecutive5xx: number;
  readonly consecutiveGatewayErrors: number;
  readonly consecutiveLocalOriginFailures: number;
  readonly splitLocalOriginErrors: boolean;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxJitterMs: number;
  readonly maxEjectionPercent: number;
  readonly healthCheckUnejects: boolean;
  readonly successRate: Required<SuccessRateDetection> | undefined;
  readonly failurePercentage: EffectiveFailurePercentage | undefined;
}

/** How endpoints are judged by themselves, with every field filled in. */
export interface EffectiveFailurePercentage extends Required<Omit<FailurePercentageDetection, "window">> {
  /** `undefined`: at the end of each interval. */
  readonly windowMs: number | undefined;
}

/** The outlier detection of a service, or `undefined` when it is turned off. On where nothing is said. */
export const effectiveOutlierDetection = (service: ServicePolicy): EffectiveOutlierDetection | undefined => {
  if (service.outlierDetection === false) return undefined;
  const policy = service.outlierDetection ?? {};
  const baseEjectionMs = durationOr(policy.baseEjectionTime, DEFAULT_BASE_EJECTION_MS);
  return {
    consecutive5xx: policy.consecutive5xx ?? DEFAULT_CONSECUTIVE_FAILURES,
    consecutiveGatewayErrors: policy.consecutiveGatewayErrors ?? DEFAULT_CONSECUTIVE_FAILURES,
    consecutiveLocalOriginFailures: policy.consecutiveLocalOriginFailures ?? DEFAULT_CONSECUTIVE_FAILURES,
    splitLocalOriginErrors: policy.splitLocalOriginErrors ?? false,
    intervalMs: durationOr(policy.interval, DEFAULT_OUTLIER_INTERVAL_MS),
    baseEjectionMs,
    maxEjectionMs: durationOr(policy.maxEjectionTime, Math.max(baseEjectionMs, DEFAULT_MAX_EJECTION_MS)),
    maxJitterMs: durationOr(policy.maxEjectionTimeJitter, 0),
    maxEjectionPercent: policy.maxEjectionPercent ?? DEFAULT_MAX_EJECTION_PERCENT,
    healthCheckUnejects: policy.healthCheckUnejects ?? true,
    successRate: policy.successRate === false ? undefined : { ...DEFAULT_SUCCESS_RATE, ...policy.successRate },
    failurePercentage: policy.failurePercentage === false ? undefined : effectiveShare(policy.failurePercentage),
  };
};

const effectiveShare = ({ window, ...given }: FailurePercentageDetection = {}): EffectiveFailurePercentage => ({
  ...DEFAULT_FAILURE_PERCENTAGE,
  ...given,
  windowMs: window === undefined ? undefined : parseDuration(window),
});

/** Whether the figures make sense. */
export const checkOutlierDetection = (outliers: OutlierDetection | false | undefined, check: Check): void => {
  if (outliers === undefined || outliers === false) return;
  const at = "outlierDetection";
  for (const field of ["consecutive5xx", "consecutiveGatewayErrors", "consecutiveLocalOriginFailures"] as const) {
    check.number([at, field], outliers[field], numberLimits.consecutiveFailures);
  }
  check.duration([at, "interval"], outliers.interval, durationLimits.outlierInterval);
  for (const field of ["baseEjectionTime", "maxEjectionTime", "maxEjectionTimeJitter"] as const) {
    check.duration([at, field], outliers[field], durationLimits[field]);
  }
  check.number([at, "maxEjectionPercent"], outliers.maxEjectionPercent, numberLimits.percent);
  const rate = outliers.successRate === false ? undefined : outliers.successRate;
  check.number([at, "successRate", "minimumHosts"], rate?.minimumHosts, numberLimits.comparedHosts);
  check.number([at, "successRate", "requestVolume"], rate?.requestVolume, numberLimits.requestVolume);
  check.number([at, "successRate", "stdevFactor"], rate?.stdevFactor, numberLimits.stdevFactor);
  const share = outliers.failurePercentage === false ? undefined : outliers.failurePercentage;
  check.number([at, "failurePercentage", "threshold"], share?.threshold, numberLimits.percent);
  check.number([at, "failurePercentage", "minimumHosts"], share?.minimumHosts, numberLimits.judgedHosts);
  check.duration([at, "failurePercentage", "window"], share?.window, durationLimits.outlierInterval);
  check.number([at, "failurePercentage", "requestVolume"], share?.requestVolume, numberLimits.requestVolume);
};
