import { z } from "zod";
import type { AdaptiveThrottling } from "../adaptive-throttling-policy.ts";
import { durationLimits, numberLimits } from "../field-limits.ts";
import { exactly } from "./exactly.ts";
import { anyList, duration, number, optional } from "./fields.ts";
import { statuses } from "./retry-schema.ts";

/** The client refuses part of its own calls while a destination rejects many of them. */
export const adaptiveThrottlingSchema: z.ZodType<AdaptiveThrottling> = exactly<AdaptiveThrottling>()(
  z.strictObject({
    multiplier: optional(
      number(numberLimits.throttlingMultiplier, "Calls that are sent per call that is accepted. Default 2."),
    ),
    window: optional(duration(durationLimits.throttlingWindow, 'Over which calls are counted. Default "2m".')),
    minimumRequestsPerSecond: optional(
      number(numberLimits.minimumRequestsPerSecond, "Below so many nothing is refused. Default 5."),
    ),
    maxRejectionPercent: optional(number(numberLimits.percent, "The largest share that is refused. Default 80.")),
    rejections: optional(anyList(statuses, 'Answers that are rejections. Default 429 and "500-599".')),
  }),
);
