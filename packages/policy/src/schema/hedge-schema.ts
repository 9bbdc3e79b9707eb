import { z } from "zod";
import { durationLimits, numberLimits } from "../field-limits.ts";
import { type HedgePolicy, wrongHedge } from "../hedge-policy.ts";
import { exactly } from "./exactly.ts";
import { duration, number, optional } from "./fields.ts";

/** Asking a further endpoint when an answer is late. */
export const hedgeSchema: z.ZodType<HedgePolicy> = exactly<HedgePolicy>()(
  z
    .strictObject({
      delay: optional(
        duration(durationLimits.hedgeDelay, "How long to wait for an answer before each further attempt."),
      ),
      quantile: optional(
        number(numberLimits.hedgeQuantile, "Instead of delay: as long as this share of the answers take at most."),
      ),
      attempts: optional(number(numberLimits.hedgeAttempts, "Attempts beside the first. Default 1.")),
      nonIdempotent: optional(z.boolean().meta({ description: "Also hedge POST and PATCH. Default false." })),
    })
    .refine((hedge) => wrongHedge(hedge) === undefined, {
      // Only objects of this shape reach the refinement.
      error: (issue) => wrongHedge(issue.input as HedgePolicy),
    })
    .meta({
      description: "Ask a further endpoint when an answer is late.",
      oneOf: [{ required: ["delay"] }, { required: ["quantile"] }],
    }),
);
