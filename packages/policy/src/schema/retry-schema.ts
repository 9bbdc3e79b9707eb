import { z } from "zod";
import { durationLimits, numberLimits } from "../field-limits.ts";
import type { RetryBudget, RetryPolicy } from "../retry-policy.ts";
import { exactly } from "./exactly.ts";
import { anyList, duration, number, optional } from "./fields.ts";

const condition = z.enum([
  "connect-failure",
  "refused-stream",
  "reset",
  "gateway-error",
  "5xx",
  "retriable-4xx",
  "attempt-timeout",
]);

/** Repeating a failed call. */
export const retrySchema: z.ZodType<RetryPolicy> = exactly<RetryPolicy>()(
  z
    .strictObject({
      retries: optional(number(numberLimits.retries, "Attempts after the first one. Default 2.")),
      on: optional(anyList(condition, "Conditions under which an attempt is repeated.")),
      statuses: optional(anyList(number(numberLimits.status, ""), "Also repeat on these response statuses.")),
      nonIdempotent: optional(z.boolean().meta({ description: "Also repeat POST and PATCH. Default false." })),
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
        number(numberLimits.minPerSecond, "Retries per second that are always allowed. Default 10."),
      ),
      ttl: optional(duration(durationLimits.budgetTtl, 'How long a request\'s deposit counts. Default "10s".')),
    })
    .meta({ description: "How much load retries may add to a service." }),
);
