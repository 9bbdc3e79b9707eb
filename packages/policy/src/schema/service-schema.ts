import { z } from "zod";
import type { ConnectionPool } from "../connection-pool-policy.ts";
import { durationLimits, numberLimits, wrongHost, wrongServiceAccount } from "../field-limits.ts";
import type { ServiceOverrides, SubsetPolicy } from "../service-overrides.ts";
import type { ServicePolicy } from "../service-policy.ts";
import { adaptiveThrottlingSchema } from "./adaptive-throttling-schema.ts";
import { balancerSchema, slowStartSchema, subsettingSchema } from "./balancer-schema.ts";
import { circuitBreakerSchema } from "./circuit-breaker-schema.ts";
import { exactly } from "./exactly.ts";
import { duration, labels, later, list, number, optional, record, texts } from "./fields.ts";
import { healthCheckSchema } from "./health-check-schema.ts";
import { localitySchema } from "./locality-schema.ts";
import { metaFields } from "./meta-fields.ts";
import { outlierDetectionSchema } from "./outlier-detection-schema.ts";
import { outsideTlsSchema } from "./outside-tls-schema.ts";
import { retryBudgetSchema } from "./retry-schema.ts";
import { serviceHashKeySchema } from "./traffic-schema.ts";

/** Sockets to each endpoint. */
export const connectionPoolSchema: z.ZodType<ConnectionPool> = exactly<ConnectionPool>()(
  z
    .strictObject({
      maxConnections: optional(
        number(numberLimits.maxConnections, "Connections to all endpoints together. Default 1024."),
      ),
      maxConnectionsPerEndpoint: optional(
        number(numberLimits.maxConnectionsPerEndpoint, "Connections to one endpoint. Default 64."),
      ),
      maxPendingRequests: optional(
        number(numberLimits.maxPendingRequests, "Calls that may wait for a connection. Default 1024."),
      ),
      maxRequests: optional(number(numberLimits.maxRequests, "Calls that may be under way. Default 1024.")),
      maxConcurrentStreams: optional(
        number(numberLimits.maxConcurrentStreams, "Requests at once on one connection of HTTP/2. Default 100."),
      ),
      connectTimeout: optional(duration(durationLimits.connectTimeout, 'Default the mesh\'s, "1s".')),
      keepAlive: optional(duration(durationLimits.keepAlive, 'Idle sockets are closed after it. Default "4s".')),
      maxAge: optional(duration(durationLimits.maxAge, 'Sockets are retired after it, ± 10 %. Default "1h".')),
      maxRequestsPerConnection: optional(
        number(numberLimits.maxRequestsPerConnection, "Calls after which a connection is closed. Default 0: no bound."),
      ),
      preconnectPolicy: optional(
        z
          .strictObject({
            perUpstreamPreconnectRatio: optional(
              number(numberLimits.preconnectRatio, "Connections per call in flight. Default 1: none ahead."),
            ),
            newEndpoints: optional(
              z.boolean().meta({ description: "An endpoint that appears is connected at once. Default false." }),
            ),
          })
          .meta({ description: "Connections that are made before calls need them." }),
      ),
    })
    .meta({ description: "Connections, and how much may be asked at once." }),
);

/** What subsets and ports may say otherwise than their service. */
const overridable = {
  balancer: optional(balancerSchema),
  connectionPool: optional(connectionPoolSchema),
  circuitBreaker: optional(
    z
      .union([circuitBreakerSchema, z.literal(false)])
      .meta({ description: "The circuit of a destination; false: none." }),
  ),
  adaptiveThrottling: optional(
    z
      .union([adaptiveThrottlingSchema, z.literal(false)])
      .meta({ description: "Part of the calls is refused while the destination rejects many. Default false." }),
  ),
  retryBudget: optional(retryBudgetSchema),
  outlierDetection: optional(
    z
      .union([outlierDetectionSchema, z.literal(false)])
      .meta({ description: "Endpoints that fail are left out for a while; false: never. Default on." }),
  ),
  slowStart: optional(
    z.union([slowStartSchema, z.literal(false)]).meta({
      description: "Endpoints that join or recover get their share little by little; false: at once. Default false.",
    }),
  ),
  locality: optional(
    z
      .union([localitySchema, z.literal(false)])
      .meta({ description: "How calls prefer some localities to others; false: not at all. Default false." }),
  ),
  panicThreshold: optional(
    number(numberLimits.percent, "Below so many percent of endpoints ejections are ignored. Default 50."),
  ),
  hashKey: optional(list(serviceHashKeySchema, "What tells calls apart for ring-hash and maglev.")),
};

const overridesSchema: z.ZodType<ServiceOverrides> = exactly<ServiceOverrides>()(z.strictObject(overridable));

const byPort = (description: string): z.ZodType<Readonly<Record<string, ServiceOverrides>>> =>
  record(overridesSchema, description);

const subsetPolicySchema: z.ZodType<SubsetPolicy> = exactly<SubsetPolicy>()(
  z.strictObject({ ...overridable, portPolicies: optional(byPort("What is said otherwise on a port of the subset.")) }),
);

/** The schema of `Service`. */
export const serviceSchema: z.ZodType<ServicePolicy> = exactly<ServicePolicy>()(
  z
    .strictObject({
      kind: z.literal("Service"),
      ...metaFields,
      hosts: optional(texts(wrongHost, "Further host names that mean this service.")),
      protocol: optional(
        z.enum(["http", "http2", "grpc"]).meta({ description: 'What its endpoints speak. Default "http".' }),
      ),
      port: optional(number(numberLimits.port, "Port in URLs. Default 80.")),
      ports: optional(list(number(numberLimits.port, "A port."), "Further ports in URLs.")),
      serviceAccounts: optional(texts(wrongServiceAccount, "Who may answer for the service. Default its name.")),
      selector: optional(labels("Instances of other services of the namespace that are this one's as well.")),
      subsets: optional(record(labels("Labels that must all match."), "Named sets of endpoints.")),
      subsetPolicies: optional(record(subsetPolicySchema, "What subsets say otherwise.")),
      portPolicies: optional(byPort("What is said otherwise of calls on a port.")),
      ...overridable,
      fallback: optional(
        z
          .enum(["none", "dns"])
          .meta({ description: 'Without any registered endpoint: fail, or ask DNS. Default "none".' }),
      ),
      healthCheck: optional(
        z
          .union([healthCheckSchema, z.literal(false)])
          .meta({ description: "Endpoints are asked how they are; false: they are not. Default false." }),
      ),
      staleAfter: optional(
        duration(
          durationLimits.staleAfter,
          'How long endpoints are called that the registry has not heard of. Default "0s": for ever.',
        ),
      ),
      concurrencyLimit: later("Calls in flight are bounded."),
      subsetting: optional(subsettingSchema),
      tls: optional(outsideTlsSchema),
    })
    .meta({ description: "One service of the mesh and how it is called." }),
);
