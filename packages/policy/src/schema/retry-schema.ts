import { z } from "zod";
import { durationLimits, numberLimits } from "../field-limits.ts";
import {
  type RetryBudget,
  type RetryPolicy,
  retryConditions,
  type StatusRange,
  wrongStatuses,
} from "../retry-policy.ts";
import { exactly } from "./exactly.ts";
import { anyList, duration, number, optional, record } from "./fields.ts";
import { stringMatchSchema } from "./match-schema.ts";

const condition = z.enum(retryConditions);

/** A status, or a range of them. */
export const statuses = z
  .union([z.number(), z.string()])
  .refine((written) => wrongStatuses(written) === undefined, {
    // Only numbers and texts reach the refinement.
    error: (issue) => wrongStatuses(issue.input as number | string),
  })
  .meta({
    anyOf: [
      { type: "integer", minimum: numberLimits.status.min, maximum: numberLimits.status.max },
      { type: "string", pattern: "^[45]\\d\\d-[45]\\d\\d$" },
    ],
    // What is refined is a range, which the type of a refined string cannot say.
  }) as z.ZodType as z.ZodType<number | StatusRange>;

/** Repeating a failed call. */
export const retrySchema: z.ZodType<RetryPolicy> = exactly<RetryPolicy>()(
  z
    .strictObject({
      retries: optional(number(numberLimits.retries, "Attempts after the first one. Default 2.")),
      on: optional(anyList(condition, "Conditions under which an attempt is repeated.")),
      statuses: optional(anyList(statuses, 'Also repeat on these response statuses; ranges as "500-599".')),
      retriableHeaders: optional(record(stringMatchSchema, "Also repeat replies of which one of these headers fits.")),
      retriableRequestHeaders: optional(
        record(stringMatchSchema, "Repeat only calls of which one of these headers fits. Default every call."),
      ),
      nonIdempotent: optional(z.boolean().meta({ description: "Also repeat POST and PATCH. Default false." })),
      stacked: optional(
        z.boolean().meta({ description: "Also repeat what another hop has repeated in vain. Default false." }),
      ),
      backoff: optional(
        z
          .strictObject({
            base: optional(duration(durationLimits.backoff, 'Default "25ms".')),
            max: optional(duration(durationLimits.backoff, 'Default "250ms".')),
          })
          .meta({ description: "Full jitter between 0 and base * 2^(n-1), at most max." }),
      ),
    })
    .meta({ description: "Repeating a failed call." }),
);

/** How much load retries may add. */
export const retryBudgetSchema: z.ZodType<RetryBudget> = exactly<RetryBudget>()(
  z
    .strictObject({
      ratio: optional(number(numberLimits.budgetRatio, "Retries per request. Default 0.2.")),
      minPerSecond: optional(
        number(
          numberLimits.minPerSecond,
          "Retries per second that are allowed where the ratio allows fewer. Default 10.",
        ),
      ),
      ttl: optional(duration(durationLimits.budgetTtl, 'How long a request\'s deposit counts. Default "10s".')),
    })
    .meta({ description: "How much load retries may add to a service." }),
);
