import { z } from "zod";
import {
  abortChoices,
  delayChoices,
  EMPTY_FAULT,
  type FaultAbort,
  type FaultDelay,
  type FaultPolicy,
} from "../fault-policy.ts";
import { durationLimits, numberLimits, wrongChoice, wrongHeaderName, wrongReference } from "../field-limits.ts";
import { grpcStatusNames } from "../grpc-status.ts";
import { type HashKey, hashKeySources, type ServiceHashKey } from "../hash-key.ts";
import type { MirrorTarget } from "../mirror-policy.ts";
import {
  type EndpointAffinity,
  type SessionAffinity,
  type SessionCookie,
  sessionChoices,
  sessionEndpointStates,
  wrongCookiePath,
} from "../session-affinity-policy.ts";
import { exactly } from "./exactly.ts";
import { anyText, duration, list, number, optional, record, text } from "./fields.ts";
import { stringMatchSchema } from "./match-schema.ts";

/** Fields of which exactly one must be set, told in one sentence. */
const choosing = <S extends z.ZodType<object>>(schema: S, choices: readonly string[], description: string): S =>
  schema
    .refine((value) => wrongChoice(value, choices) === undefined, {
      // Only objects reach the refinement.
      error: (issue) => wrongChoice(issue.input as object, choices),
    })
    .meta({ description, oneOf: choices.map((choice) => ({ required: [choice] })) });

const percent = (what: string): z.ZodType<number> => number(numberLimits.percent, `${what} Default 100.`);

const hashKeyFields = {
  header: optional(text(wrongHeaderName, "Value of a header, by name.")),
  cookie: optional(text(wrongHeaderName, "Value of a cookie, by name.")),
  query: optional(anyText("First value of a query parameter, by name.")),
  source: optional(
    z.enum(["service", "instance"]).meta({ description: "Who calls: the service, or this process of it." }),
  ),
  terminal: optional(
    z.boolean().meta({ description: "Where a call has this key, later ones are not looked at. Default false." }),
  ),
};

/** What calls are told apart by. */
export const hashKeySchema: z.ZodType<HashKey> = exactly<HashKey>()(
  choosing(z.strictObject(hashKeyFields), hashKeySources, "What calls are told apart by; exactly one source."),
);

/** The same for a service, whose cookie the mesh may generate. */
export const serviceHashKeySchema: z.ZodType<ServiceHashKey> = exactly<ServiceHashKey>()(
  choosing(
    z.strictObject({
      ...hashKeyFields,
      ttl: optional(
        duration(durationLimits.hashCookieTtl, "With cookie: callers without it are given one that lasts so long."),
      ),
      path: optional(text(wrongCookiePath, 'Path of the given cookie. Default "/".')),
    }),
    hashKeySources,
    "What calls are told apart by; exactly one source.",
  ),
);

const cookieSchema = exactly<SessionCookie>()(
  z
    .strictObject({
      name: optional(text(wrongHeaderName, 'Default "tulle-session".')),
      path: optional(text(wrongCookiePath, 'Default "/".')),
      secure: optional(z.boolean().meta({ description: "Only over TLS. Default false." })),
      sameSite: optional(z.enum(["strict", "lax", "none"]).meta({ description: "none wants secure." })),
    })
    .meta({ description: "The cookie that tells sessions." }),
);

const endpointAffinitySchema = exactly<EndpointAffinity>()(
  z
    .strictObject({
      strict: optional(
        z
          .boolean()
          .meta({ description: "Calls fail where their session's endpoint may not be called. Default false." }),
      ),
      states: optional(
        list(z.enum(sessionEndpointStates), 'In which of its states sessions stay. Default ["healthy", "degraded"].'),
      ),
    })
    .meta({ description: "Sessions stay with the endpoint that answered their first call." }),
);

/** Sessions stay with their destination, or with an endpoint of it. */
export const sessionAffinitySchema: z.ZodType<SessionAffinity> = exactly<SessionAffinity>()(
  choosing(
    z.strictObject({
      cookie: optional(cookieSchema),
      header: optional(text(wrongHeaderName, "The header that tells sessions.")),
      ttl: optional(duration(durationLimits.sessionTtl, "How long a session lasts. Default without end.")),
      endpoint: optional(endpointAffinitySchema),
    }),
    sessionChoices,
    "Sessions stay with the destination of their first call, told by a cookie or a header.",
  ),
);

/** Where copies go. */
export const mirrorSchema: z.ZodType<MirrorTarget> = exactly<MirrorTarget>()(
  z
    .strictObject({
      service: optional(text(wrongReference, "Default the service that was called.")),
      subset: optional(anyText("Default all endpoints of the service.")),
      percent: optional(percent("Share of the calls that are copied.")),
      maxInFlight: optional(number(numberLimits.mirrorsInFlight, "Copies under way at once. Default 64.")),
    })
    .meta({ description: "Where copies of calls go." }),
);

const delaySchema = exactly<FaultDelay>()(
  choosing(
    z.strictObject({
      fixed: optional(duration(durationLimits.faultDelay, "The same for all.")),
      exponential: optional(duration(durationLimits.faultDelay, "Mean of exponentially distributed delays.")),
      percent: optional(percent("Share of the calls.")),
    }),
    delayChoices,
    "How long calls are held up; exactly one way.",
  ),
);

const abortSchema = exactly<FaultAbort>()(
  choosing(
    z.strictObject({
      status: optional(number(numberLimits.abortStatus, "HTTP status.")),
      grpcStatus: optional(z.enum(grpcStatusNames).meta({ description: "Status of gRPC, by name." })),
      percent: optional(percent("Share of the calls, drawn apart from the delay's.")),
    }),
    abortChoices,
    "What calls are answered instead of being sent; exactly one way.",
  ),
);

/** Delays and failures on purpose. */
export const faultSchema: z.ZodType<FaultPolicy> = exactly<FaultPolicy>()(
  z
    .strictObject({
      headers: optional(record(stringMatchSchema, "Only for calls whose headers match. Default every call.")),
      delay: optional(delaySchema),
      abort: optional(abortSchema),
      maxActive: optional(number(numberLimits.faultsActive, "Calls under a fault at once. Default no limit.")),
    })
    .refine(({ delay, abort }) => delay !== undefined || abort !== undefined, { error: EMPTY_FAULT })
    .meta({ description: "Delays and failures on purpose, the delay first." }),
);
