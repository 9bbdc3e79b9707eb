import { z } from "zod";
import { durationLimits, numberLimits, wrongAuthority } from "../field-limits.ts";
import {
  type GrpcHealthCheck,
  type HealthCheck,
  type HealthCheckBytes,
  type HttpHealthCheck,
  type TcpHealthCheck,
  wrongCheckMethod,
  wrongCheckPath,
  wrongCheckStatuses,
  wrongHex,
} from "../health-check-policy.ts";
import type { StatusRange } from "../retry-policy.ts";
import { exactly } from "./exactly.ts";
import { anyText, duration, list, number, optional, record, text } from "./fields.ts";

const statuses = z
  .union([z.number(), z.string()])
  .refine((written) => wrongCheckStatuses(written) === undefined, {
    // Only numbers and texts reach the refinement.
    error: (issue) => wrongCheckStatuses(issue.input as number | string),
  })
  .meta({
    anyOf: [
      { type: "integer", minimum: numberLimits.checkedStatus.min, maximum: numberLimits.checkedStatus.max },
      { type: "string", pattern: "^[2-5]\\d\\d-[2-5]\\d\\d$" },
    ],
    // What is refined is a range, which the type of a refined string cannot say.
  }) as z.ZodType as z.ZodType<number | StatusRange>;

const bytes = exactly<HealthCheckBytes>()(
  z
    .strictObject({
      text: optional(anyText("In UTF-8.")),
      hex: optional(text(wrongHex, "Pairs of hexadecimal digits.")),
    })
    .meta({ description: "Bytes; exactly one of the fields is set. At most 1024." }),
);

const httpSchema = exactly<HttpHealthCheck>()(
  z
    .strictObject({
      path: text(wrongCheckPath, "With a query, if need be."),
      method: optional(text(wrongCheckMethod, 'Default "GET".')),
      host: optional(text(wrongAuthority, "What is sent as Host. Default the service's name.")),
      headers: optional(record(z.string(), "Values by name.")),
      expectedStatuses: optional(list(statuses, "Statuses that pass. Default 200.")),
      retriableStatuses: optional(list(statuses, "Statuses that fail but are not unhealthy at once.")),
      body: optional(anyText("What the first 1024 bytes of the body must contain.")),
    })
    .meta({ description: "A request, and what its answer must be." }),
);

const tcpSchema = exactly<TcpHealthCheck>()(
  z
    .strictObject({
      send: optional(bytes),
      receive: optional(list(bytes, "What must come, one after the other, within the first 1024 bytes.")),
    })
    .meta({ description: "A connection, and what is said on it." }),
);

const grpcSchema = exactly<GrpcHealthCheck>()(
  z
    .strictObject({
      service: optional(anyText("The service that is asked for. Default the whole server.")),
      authority: optional(text(wrongAuthority, "What is sent as authority. Default the service's name.")),
    })
    .meta({ description: "A question in gRPC's health checking protocol." }),
);

/** Endpoints are asked how they are. */
export const healthCheckSchema: z.ZodType<HealthCheck> = exactly<HealthCheck>()(
  z.strictObject({
    http: optional(httpSchema),
    tcp: optional(tcpSchema),
    grpc: optional(grpcSchema),
    interval: optional(duration(durationLimits.healthCheckInterval, 'From a check to the next. Default "3s".')),
    unhealthyInterval: optional(
      duration(durationLimits.healthCheckInterval, "After a check that did not pass. Default the interval."),
    ),
    unhealthyEdgeInterval: optional(
      duration(durationLimits.healthCheckInterval, "While still healthy. Default unhealthyInterval."),
    ),
    healthyEdgeInterval: optional(
      duration(durationLimits.healthCheckInterval, "While still unhealthy. Default the interval."),
    ),
    noTrafficInterval: optional(
      duration(durationLimits.noTrafficInterval, 'While nobody calls the service. Default "60s".'),
    ),
    intervalJitterPercent: optional(number(numberLimits.percent, "Added to each interval by chance. Default 10.")),
    intervalJitter: optional(
      duration(durationLimits.healthCheckJitter, 'Also added to each interval by chance. Default "0s".'),
    ),
    initialJitter: optional(
      duration(durationLimits.healthCheckJitter, 'The first check waits up to so long. Default "0s".'),
    ),
    timeout: optional(duration(durationLimits.healthCheckTimeout, 'Connection included. Default "1s".')),
    unhealthyThreshold: optional(
      number(numberLimits.healthThreshold, "Failed checks in a row that make unhealthy. Default 3."),
    ),
    healthyThreshold: optional(
      number(numberLimits.healthThreshold, "Passed checks in a row that make healthy again. Default 1."),
    ),
  }),
);
