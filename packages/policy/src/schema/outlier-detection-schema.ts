import { z } from "zod";
import { durationLimits, numberLimits } from "../field-limits.ts";
import type {
  FailurePercentageDetection,
  OutlierDetection,
  SuccessRateDetection,
} from "../outlier-detection-policy.ts";
import { exactly } from "./exactly.ts";
import { duration, number, optional } from "./fields.ts";

const successRateSchema = exactly<SuccessRateDetection>()(
  z.strictObject({
    minimumHosts: optional(number(numberLimits.comparedHosts, "Endpoints with enough calls. Default 5.")),
    requestVolume: optional(number(numberLimits.requestVolume, "Calls within an interval. Default 100.")),
    stdevFactor: optional(number(numberLimits.stdevFactor, "Standard deviations below the mean. Default 1.9.")),
  }),
);

const failurePercentageSchema = exactly<FailurePercentageDetection>()(
  z.strictObject({
    threshold: optional(number(numberLimits.percent, "Failures in percent. Default 85.")),
    minimumHosts: optional(number(numberLimits.judgedHosts, "Endpoints with enough calls. Default 5.")),
    requestVolume: optional(number(numberLimits.requestVolume, "Calls within an interval. Default 50.")),
    window: optional(
      duration(durationLimits.outlierInterval, "Judged at each failure over so long. Default each interval."),
    ),
  }),
);

const inARow = (what: string) =>
  optional(number(numberLimits.consecutiveFailures, `${what} in a row; 0: off. Default 5.`));

/** Endpoints that fail are left out for a while. */
export const outlierDetectionSchema: z.ZodType<OutlierDetection> = exactly<OutlierDetection>()(
  z.strictObject({
    consecutive5xx: inARow("Answers of 500 and above"),
    consecutiveGatewayErrors: inARow("Answers of 502, 503 and 504"),
    consecutiveLocalOriginFailures: inARow("Failures without an answer"),
    splitLocalOriginErrors: optional(
      z.boolean().meta({ description: "Failures without an answer count by themselves. Default false." }),
    ),
    interval: optional(duration(durationLimits.outlierInterval, 'How often rates are compared. Default "10s".')),
    baseEjectionTime: optional(duration(durationLimits.baseEjectionTime, 'The first ejection. Default "30s".')),
    maxEjectionTime: optional(duration(durationLimits.maxEjectionTime, 'The longest one. Default "300s".')),
    maxEjectionTimeJitter: optional(
      duration(durationLimits.maxEjectionTimeJitter, 'Added to each by chance. Default "0s".'),
    ),
    maxEjectionPercent: optional(
      number(numberLimits.percent, "Of the endpoints at a time, but one where there are two. Default 10."),
    ),
    healthCheckUnejects: optional(
      z.boolean().meta({ description: "A passed health check ends an ejection. Default true." }),
    ),
    successRate: optional(z.union([successRateSchema, z.literal(false)])),
    failurePercentage: optional(z.union([failurePercentageSchema, z.literal(false)])),
  }),
);
