import { durationLimits, numberLimits, type OutlierDetection } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import { boundedDuration, wholePercent } from "./bounded.ts";

/** Istio's OutlierDetection. */
export const outlierDetectionMessage: Message<
  | "splitExternalLocalOriginErrors"
  | "consecutiveLocalOriginFailures"
  | "consecutiveGatewayErrors"
  | "consecutive5xxErrors"
  | "consecutiveErrors"
  | "interval"
  | "baseEjectionTime"
  | "maxEjectionPercent"
  | "minHealthPercent"
> = message("OutlierDetection", {
  splitExternalLocalOriginErrors: to("outlierDetection.splitLocalOriginErrors"),
  consecutiveLocalOriginFailures: to("outlierDetection.consecutiveLocalOriginFailures"),
  consecutiveGatewayErrors: to("outlierDetection.consecutiveGatewayErrors; 0 where it is not set"),
  consecutive5xxErrors: to("outlierDetection.consecutive5xx"),
  consecutiveErrors: noMeaning("Istio reads it no longer: write consecutive5xxErrors or consecutiveGatewayErrors"),
  interval: to("outlierDetection.interval"),
  baseEjectionTime: to("outlierDetection.baseEjectionTime"),
  maxEjectionPercent: to("outlierDetection.maxEjectionPercent"),
  minHealthPercent: to("panicThreshold; 0 where it is not set"),
});

/** What outlier detection becomes. */
export interface ReadOutlierDetection {
  readonly outlierDetection: OutlierDetection;
  readonly panicThreshold: number;
}

/**
 * Reads when endpoints are left out. Istio judges by rows of failures alone, counts errors of gateways by themselves only where
 * that is asked for, and takes the panic threshold away.
 */
export const readOutlierDetection = (
  fields: FieldsOf<typeof outlierDetectionMessage> | undefined,
): ReadOutlierDetection | undefined => {
  if (fields === undefined) return undefined;
  const split = fields.flag("splitExternalLocalOriginErrors");
  const local = readRow(fields, "consecutiveLocalOriginFailures");
  if (split !== true && (local ?? 0) > 0) {
    fields.refuse(
      "consecutiveLocalOriginFailures",
      "they are counted by themselves only with splitExternalLocalOriginErrors: true",
    );
  }
  const consecutive5xx = readRow(fields, "consecutive5xxErrors");
  const interval = boundedDuration(fields, "interval", durationLimits.outlierInterval);
  const baseEjectionTime = boundedDuration(fields, "baseEjectionTime", durationLimits.baseEjectionTime);
  const maxEjectionPercent = wholePercent(fields, "maxEjectionPercent");
  return {
    outlierDetection: {
      ...(consecutive5xx === undefined ? {} : { consecutive5xx }),
      consecutiveGatewayErrors: readRow(fields, "consecutiveGatewayErrors") ?? 0,
      ...(split === true ? { splitLocalOriginErrors: true } : {}),
      ...(local ? { consecutiveLocalOriginFailures: local } : {}),
      ...(interval === undefined ? {} : { interval }),
      ...(baseEjectionTime === undefined ? {} : { baseEjectionTime }),
      // Of protobuf's numbers 0 says nothing.
      ...(maxEjectionPercent ? { maxEjectionPercent } : {}),
      successRate: false,
      failurePercentage: false,
    },
    panicThreshold: wholePercent(fields, "minHealthPercent") ?? 0,
  };
};

type RowField = "consecutiveLocalOriginFailures" | "consecutiveGatewayErrors" | "consecutive5xxErrors";

/** A number in a message of its own: 0 is a value, and means never. */
const readRow = (fields: FieldsOf<typeof outlierDetectionMessage>, name: RowField): number | undefined => {
  const count = fields.integer(name);
  const { max } = numberLimits.consecutiveFailures;
  if (count === undefined || (count >= 0 && count <= max)) return count;
  if (count < 0) fields.refuse(name, `${count} is below 0`);
  else fields.warn(name, `a policy allows up to ${max}: that is taken for ${count}`);
  return count < 0 ? undefined : max;
};
