import { z } from "zod";
import { type CircuitBreaker, circuitFailures } from "../circuit-breaker-policy.ts";
import { durationLimits, numberLimits } from "../field-limits.ts";
import { exactly } from "./exactly.ts";
import { anyList, duration, number, optional } from "./fields.ts";
import { statuses } from "./retry-schema.ts";

/** The circuit of a destination. */
export const circuitBreakerSchema: z.ZodType<CircuitBreaker> = exactly<CircuitBreaker>()(
  z.strictObject({
    scope: optional(
      z.enum(["destination", "rule"]).meta({ description: 'Who shares a circuit. Default "destination".' }),
    ),
    errorPercent: optional(
      z
        .union([number(numberLimits.errorPercent, "Share of failures."), z.literal(false)])
        .meta({ description: "Share of failures that opens it; false: it does not matter. Default 50." }),
    ),
    minimumVolume: optional(
      number(numberLimits.minimumVolume, "Calls below which the rate never opens it. Default 20."),
    ),
    window: optional(duration(durationLimits.circuitWindow, 'Default "10s".')),
    consecutiveFailures: optional(
      number(numberLimits.consecutiveFailures, "Failures in a row that open it; 0: off. Default 0."),
    ),
    failures: optional(anyList(z.enum(circuitFailures), 'What counts as a failure. Default all but "5xx".')),
    statuses: optional(anyList(statuses, 'Statuses that count as failures as well; ranges as "500-599".')),
    openFor: optional(duration(durationLimits.openFor, 'How long it stays open before a probe. Default "5s".')),
    maxOpenFor: optional(
      duration(durationLimits.maxOpenFor, "Openings by failed probes double up to this. Default openFor."),
    ),
    halfOpenProbes: optional(
      number(numberLimits.halfOpenProbes, "Calls that probe at a time, and successes that close it. Default 1."),
    ),
  }),
);
