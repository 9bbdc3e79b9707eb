import { z } from "zod";
import { type Balancer, type SlowStart, wrongBalancerName } from "../balancer-policy.ts";
import { durationLimits, numberLimits } from "../field-limits.ts";
import type { Subsetting } from "../subsetting-policy.ts";
import { exactly } from "./exactly.ts";
import { duration, number, optional, text } from "./fields.ts";

const balanceFactor = optional(
  number(numberLimits.balanceFactor, "Most calls in flight, in percent of the mean. Default unbounded."),
);

/** How an endpoint is chosen. */
export const balancerSchema: z.ZodType<Balancer> = exactly<Balancer>()(
  z
    .discriminatedUnion("algorithm", [
      z.strictObject({
        algorithm: z.literal("peak-ewma"),
        decay: optional(duration(durationLimits.decay, 'How fast an old latency is forgotten. Default "10s".')),
        defaultRtt: optional(duration(durationLimits.defaultRtt, 'Assumed before the first answer. Default "30ms".')),
      }),
      z.strictObject({ algorithm: z.literal("round-robin") }),
      z.strictObject({
        algorithm: z.literal("least-request"),
        choiceCount: optional(number(numberLimits.choiceCount, "Endpoints that are compared. Default 2.")),
        selection: optional(
          z.enum(["n-choices", "full-scan"]).meta({ description: 'full-scan compares all. Default "n-choices".' }),
        ),
        activeRequestBias: optional(
          number(numberLimits.activeRequestBias, "How much calls in flight count against a weight. Default 1."),
        ),
      }),
      z.strictObject({ algorithm: z.literal("random") }),
      z.strictObject({
        algorithm: z.literal("ring-hash"),
        minimumRingSize: optional(number(numberLimits.ringSize, "Points on the ring, at least. Default 1024.")),
        maximumRingSize: optional(number(numberLimits.ringSize, "Points on the ring, at most. Default 8388608.")),
        balanceFactor,
      }),
      z.strictObject({
        algorithm: z.literal("maglev"),
        tableSize: optional(number(numberLimits.maglevTableSize, "A prime. Default 65537.")),
        balanceFactor,
      }),
      z.strictObject({
        algorithm: z.literal("custom"),
        name: text(wrongBalancerName, "As the option `balancers` of the calling process names it."),
      }),
      z.strictObject({
        algorithm: z.literal("weighted-round-robin"),
        blackoutPeriod: optional(
          duration(durationLimits.blackoutPeriod, 'How long an endpoint must have reported. Default "10s".'),
        ),
        weightExpirationPeriod: optional(
          duration(durationLimits.weightExpiration, 'How long a report counts. Default "3m".'),
        ),
        weightUpdatePeriod: optional(
          duration(durationLimits.weightUpdate, 'How often weights are worked out anew. Default "1s".'),
        ),
        errorUtilizationPenalty: optional(
          number(numberLimits.errorPenalty, "How much errors count against a weight. Default 1."),
        ),
      }),
      z.strictObject({
        algorithm: z.literal("prequal"),
        inFlightQuantile: optional(
          number(
            numberLimits.inFlightQuantile,
            "An endpoint with more in flight than this quantile is hot. Default 0.84.",
          ),
        ),
      }),
    ])
    .meta({ description: "How an endpoint is chosen. Default peak-ewma." }),
);

/** Each client calls only so many of the endpoints. */
export const subsettingSchema: z.ZodType<Subsetting> = exactly<Subsetting>()(
  z
    .strictObject({ size: number(numberLimits.subsetSize, "Endpoints that a client calls, where there are more.") })
    .meta({ description: "Each client calls only so many of the endpoints. Default off." }),
);

/** Endpoints that join or recover get their share little by little. */
export const slowStartSchema: z.ZodType<SlowStart> = exactly<SlowStart>()(
  z
    .strictObject({
      window: duration(durationLimits.slowStartWindow, "Time until an endpoint has its whole share."),
      aggression: optional(number(numberLimits.aggression, "1: evenly; above 1 faster at first. Default 1.")),
      minimumPercent: optional(number(numberLimits.minimumPercent, "The share that it begins with. Default 10.")),
    })
    .meta({ description: "Endpoints that join or recover get their share little by little." }),
);
