import { z } from "zod";
import { durationLimits, numberLimits, wrongReference } from "../field-limits.ts";
import type { RoutePolicy, RouteRule, WeightedDestination } from "../route-policy.ts";
import { exactly } from "./exactly.ts";
import { anyText, duration, later, list, number, optional, text, texts } from "./fields.ts";
import { hedgeSchema } from "./hedge-schema.ts";
import { matchSchema } from "./match-schema.ts";
import { metaFields } from "./meta-fields.ts";
import { retrySchema } from "./retry-schema.ts";
import { faultSchema, hashKeySchema, mirrorSchema, sessionAffinitySchema } from "./traffic-schema.ts";

const destinationSchema: z.ZodType<WeightedDestination> = exactly<WeightedDestination>()(
  z.strictObject({
    service: optional(text(wrongReference, "Default the service that was called.")),
    subset: optional(anyText("Default all endpoints of the service.")),
    weight: optional(number(numberLimits.weight, "Relative to its siblings; 0 is never chosen. Default 1.")),
  }),
);

const ruleSchema: z.ZodType<RouteRule> = exactly<RouteRule>()(
  z.strictObject({
    name: optional(anyText("For explanations and telemetry. Default the rule's place, from 0.")),
    match: optional(list(matchSchema, "Alternatives, any of them. Default every call.")),
    split: optional(list(destinationSchema, "Where the call goes. Default the service that was called.")),
    timeout: optional(duration(durationLimits.timeout, 'The whole call with its body; "0s" turns it off.')),
    attemptTimeout: optional(duration(durationLimits.attemptTimeout, "One attempt.")),
    maxDuration: optional(duration(durationLimits.maxDuration, "The whole call with its body, streams included.")),
    idleTimeout: optional(duration(durationLimits.idleTimeout, "Silence in the reply's body.")),
    retry: optional(z.union([retrySchema, z.literal(false)]).meta({ description: "false turns retries off." })),
    redirect: later("Answer with a redirect."),
    directResponse: later("Answer without calling."),
    rewrite: later("Change path or host."),
    requestHeaders: later("Change the request's headers."),
    responseHeaders: later("Change the reply's headers."),
    hedge: optional(hedgeSchema),
    mirror: optional(list(mirrorSchema, "Where copies of the calls go. Default nowhere.")),
    fault: optional(faultSchema),
    sessionAffinity: optional(sessionAffinitySchema),
    cors: later("Answer browsers of other origins."),
    sticky: optional(list(hashKeySchema, "Draw the split by a hash of these keys. Default by chance.")),
  }),
);

/** The schema of `Route`. */
export const routeSchema: z.ZodType<RoutePolicy> = exactly<RoutePolicy>()(
  z
    .strictObject({
      kind: z.literal("Route"),
      ...metaFields,
      services: texts(wrongReference, "The services it is for: reviews, reviews.ns or the long name."),
      rules: list(ruleSchema, "In order; the first whose match fits decides."),
      unmatched: optional(
        z
          .enum(["pass", "refuse"])
          .meta({ description: 'What becomes of a call that no rule of any route matches. Default "pass".' }),
      ),
    })
    .meta({ description: "Which calls to a service go where, and how patiently." }),
);
