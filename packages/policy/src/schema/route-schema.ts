import { z } from "zod";
import { durationLimits, numberLimits, wrongReference } from "../field-limits.ts";
import type { RoutePolicy, RouteRule, WeightedDestination } from "../route-policy.ts";
import {
  corsSchema,
  directResponseSchema,
  headerChangesSchema,
  hostRewriteSchema,
  redirectSchema,
  rewriteSchema,
} from "./action-schemas.ts";
import { exactly } from "./exactly.ts";
import { anyText, duration, list, number, optional, text, texts } from "./fields.ts";
import { hedgeSchema } from "./hedge-schema.ts";
import { matchSchema } from "./match-schema.ts";
import { metaFields, originSchema } from "./meta-fields.ts";
import { retrySchema } from "./retry-schema.ts";
import { faultSchema, hashKeySchema, mirrorSchema, sessionAffinitySchema } from "./traffic-schema.ts";

const destinationSchema: z.ZodType<WeightedDestination> = exactly<WeightedDestination>()(
  z.strictObject({
    service: optional(text(wrongReference, "Default the service that was called.")),
    subset: optional(anyText("Default all endpoints of the service.")),
    weight: optional(number(numberLimits.weight, "Relative to its siblings; 0 is never chosen. Default 1.")),
    rewrite: optional(hostRewriteSchema),
    requestHeaders: optional(headerChangesSchema("Change the headers of what is sent to this destination.")),
    responseHeaders: optional(headerChangesSchema("Change the headers of what this destination answers.")),
  }),
);

const ruleSchema: z.ZodType<RouteRule> = exactly<RouteRule>()(
  z.strictObject({
    name: optional(anyText("For explanations and telemetry. Default the rule's place, from 0.")),
    origin: optional(originSchema),
    match: optional(list(matchSchema, "Alternatives, any of them. Default every call.")),
    split: optional(list(destinationSchema, "Where the call goes. Default the service that was called.")),
    timeout: optional(duration(durationLimits.timeout, 'The whole call with its body; "0s" turns it off.')),
    attemptTimeout: optional(duration(durationLimits.attemptTimeout, "One attempt.")),
    maxDuration: optional(duration(durationLimits.maxDuration, "The whole call with its body, streams included.")),
    idleTimeout: optional(duration(durationLimits.idleTimeout, "Silence in the reply's body.")),
    retry: optional(z.union([retrySchema, z.literal(false)]).meta({ description: "false turns retries off." })),
    redirect: optional(redirectSchema),
    directResponse: optional(directResponseSchema),
    rewrite: optional(rewriteSchema),
    requestHeaders: optional(headerChangesSchema("Change the request's headers, after the destination's changes.")),
    responseHeaders: optional(headerChangesSchema("Change the reply's headers, after the destination's changes.")),
    hedge: optional(hedgeSchema),
    mirror: optional(list(mirrorSchema, "Where copies of the calls go. Default nowhere.")),
    fault: optional(faultSchema),
    sessionAffinity: optional(sessionAffinitySchema),
    cors: optional(corsSchema),
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
