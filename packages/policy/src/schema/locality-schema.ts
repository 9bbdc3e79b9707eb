import { z } from "zod";
import { numberLimits } from "../field-limits.ts";
import { wrongLocalityPattern } from "../locality-pattern.ts";
import type { Locality, LocalityDistribution, RegionFailover } from "../locality-policy.ts";
import { exactly } from "./exactly.ts";
import { anyText, list, number, optional, record, text } from "./fields.ts";

const overprovisioningPercent = optional(
  number(numberLimits.overprovisioningPercent, "How far healthy endpoints may make up for others. Default 140."),
);

const regionFailoverSchema = exactly<RegionFailover>()(
  z.strictObject({
    from: anyText("The caller's region."),
    to: anyText("The region that follows its own."),
  }),
);

const distributionSchema = exactly<LocalityDistribution>()(
  z.strictObject({
    from: text(wrongLocalityPattern, "Where the callers are, such as region/zone/*."),
    to: record(number(numberLimits.percent, "Percent."), "Percent by locality, together 100."),
  }),
);

/** How calls prefer some localities to others. */
export const localitySchema: z.ZodType<Locality> = exactly<Locality>()(
  z
    .discriminatedUnion("mode", [
      z.strictObject({
        mode: z.literal("failover"),
        failover: optional(list(regionFailoverSchema, "Where calls of a region go before anywhere else outside it.")),
        failoverPriority: optional(
          list(anyText("key or key=value."), "Labels in the order of their weight, instead of localities."),
        ),
        overprovisioningPercent,
      }),
      z.strictObject({
        mode: z.literal("distribute"),
        distribute: list(distributionSchema, "Shares by where the caller is; the first that fits counts."),
        overprovisioningPercent,
      }),
      z.strictObject({
        mode: z.literal("weighted"),
        weights: optional(
          record(number(numberLimits.weight, "Weight."), "By locality. Default the sum of the endpoints' weights."),
        ),
        overprovisioningPercent,
      }),
      z.strictObject({
        mode: z.literal("zone-aware"),
        minimumClusterSize: optional(
          number(numberLimits.minimumClusterSize, "Fewer endpoints: zones do not matter. Default 6."),
        ),
        routingEnabledPercent: optional(
          number(numberLimits.percent, "Share of calls for which zones matter. Default 100."),
        ),
        forceLocalZoneMinimum: optional(
          number(
            numberLimits.minimumClusterSize,
            "So many healthy ones in the zone take all its calls. Default never.",
          ),
        ),
      }),
    ])
    .meta({ description: "How calls prefer some localities to others. Default not at all." }),
);
