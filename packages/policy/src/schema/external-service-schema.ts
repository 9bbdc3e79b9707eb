import { z } from "zod";
import { type ExternalServicePolicy, wrongOutsideAddress, wrongOutsideHost } from "../external-service-policy.ts";
import { numberLimits } from "../field-limits.ts";
import { adaptiveThrottlingSchema } from "./adaptive-throttling-schema.ts";
import { balancerSchema, slowStartSchema, subsettingSchema } from "./balancer-schema.ts";
import { circuitBreakerSchema } from "./circuit-breaker-schema.ts";
import { exactly } from "./exactly.ts";
import { list, number, optional, texts } from "./fields.ts";
import { healthCheckSchema } from "./health-check-schema.ts";
import { metaFields } from "./meta-fields.ts";
import { outlierDetectionSchema } from "./outlier-detection-schema.ts";
import { outsideTlsSchema } from "./outside-tls-schema.ts";
import { retryBudgetSchema } from "./retry-schema.ts";
import { connectionPoolSchema } from "./service-schema.ts";
import { serviceHashKeySchema } from "./traffic-schema.ts";

/** The schema of `ExternalService`. */
export const externalServiceSchema: z.ZodType<ExternalServicePolicy> = exactly<ExternalServicePolicy>()(
  z
    .strictObject({
      kind: z.literal("ExternalService"),
      ...metaFields,
      hosts: texts(wrongOutsideHost, "Names in URLs; *.example.com with resolution none."),
      port: optional(number(numberLimits.port, "In URLs, and of addresses that name none. Default 443, plaintext 80.")),
      resolution: optional(
        z
          .enum(["dns", "static", "none"])
          .meta({ description: 'Where the addresses come from; none: handed on untouched. Default "dns".' }),
      ),
      addresses: optional(
        texts(wrongOutsideAddress, "Other names to look up, or where to connect: host or host:port."),
      ),
      tls: optional(outsideTlsSchema),
      balancer: optional(balancerSchema),
      connectionPool: optional(connectionPoolSchema),
      circuitBreaker: optional(
        z
          .union([circuitBreakerSchema, z.literal(false)])
          .meta({ description: "The circuit of the service; false: none." }),
      ),
      adaptiveThrottling: optional(
        z
          .union([adaptiveThrottlingSchema, z.literal(false)])
          .meta({ description: "Calls are held back as the service rejects; false: never." }),
      ),
      retryBudget: optional(retryBudgetSchema),
      outlierDetection: optional(
        z
          .union([outlierDetectionSchema, z.literal(false)])
          .meta({ description: "Addresses that fail are left out for a while; false: never. Default on." }),
      ),
      healthCheck: optional(
        z
          .union([healthCheckSchema, z.literal(false)])
          .meta({ description: "Addresses are asked how they are, besides the calls; false: not. Default not." }),
      ),
      slowStart: optional(
        z.union([slowStartSchema, z.literal(false)]).meta({
          description:
            "Endpoints that join or recover get their share little by little; false: at once. Default false.",
        }),
      ),
      subsetting: optional(subsettingSchema),
      panicThreshold: optional(
        number(numberLimits.percent, "Below so many percent of addresses ejections are ignored. Default 50."),
      ),
      hashKey: optional(list(serviceHashKeySchema, "What tells calls apart for ring-hash and maglev.")),
    })
    .meta({ description: "Hosts outside the mesh that are called with the resilience of the mesh." }),
);
