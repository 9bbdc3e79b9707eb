import { z } from "zod";
import { durationLimits, numberLimits } from "../field-limits.ts";
import type { MeshPolicy } from "../mesh-policy.ts";
import { authorizerSchema } from "./authorizer-schema.ts";
import { exactly } from "./exactly.ts";
import { anyList, anyText, duration, NOT_YET, nameText, number, optional, record } from "./fields.ts";
import { metaFields } from "./meta-fields.ts";
import { retryBudgetSchema, retrySchema } from "./retry-schema.ts";

/** The schema of `Mesh`. */
export const meshSchema: z.ZodType<MeshPolicy> = exactly<MeshPolicy>()(
  z
    .strictObject({
      kind: z.literal("Mesh"),
      ...metaFields,
      trustDomain: optional(anyText('Default "cluster.local".')),
      trustDomainAliases: optional(anyList(z.string(), "Further names of this trust domain. Default none.")),
      rootNamespace: optional(nameText('Its Access and Authentication hold everywhere. Default "istio-system".')),
      outbound: optional(
        z
          .enum(["allow-any", "registry-only"])
          .meta({ description: 'What happens to hosts that the mesh does not own. Default "allow-any".' }),
      ),
      mtls: optional(
        z.enum(["strict", "permissive", "disable"]).meta({ description: 'What listeners accept. Default "strict".' }),
      ),
      pathNormalization: optional(
        z
          .enum(["none", "base", "merge-slashes", "decode-and-merge-slashes", "strict"])
          .meta({ description: 'How paths are brought into one form. Default "strict".' }),
      ),
      trustedProxies: optional(
        number(numberLimits.trustedProxies, "Proxies that append to x-forwarded-for. Default 0."),
      ),
      authorizers: optional(record(authorizerSchema, "Who access policies may ask, by name. Default none.")),
      defaults: optional(
        z
          .strictObject({
            timeout: optional(
              duration(durationLimits.timeout, 'Until the reply\'s headers. Default "15s"; "0s" turns it off.'),
            ),
            attemptTimeout: optional(duration(durationLimits.attemptTimeout, "One attempt. Default none.")),
            maxDuration: optional(
              duration(durationLimits.maxDuration, "The whole call with its body, streams included. Default none."),
            ),
            idleTimeout: optional(
              duration(durationLimits.idleTimeout, 'Silence in a reply\'s body. Default "5m"; "0s" turns it off.'),
            ),
            connectTimeout: optional(duration(durationLimits.connectTimeout, 'With the TLS handshake. Default "1s".')),
            retry: optional(retrySchema),
            retryBudget: optional(retryBudgetSchema),
          })
          .meta({ description: "What holds where a service or a route says nothing." }),
      ),
      sampling: optional(z.number().meta({ description: NOT_YET })),
      accessLog: optional(z.boolean().meta({ description: NOT_YET })),
    })
    .meta({ description: "What holds for the whole mesh; at most one, named mesh." }),
);
