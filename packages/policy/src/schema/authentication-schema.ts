import { z } from "zod";
import type { AuthenticationPolicy } from "../authentication-policy.ts";
import { exactly } from "./exactly.ts";
import { list, optional, record } from "./fields.ts";
import { jwtRuleSchema } from "./jwt-schema.ts";
import { metaFields, selectorSchema } from "./meta-fields.ts";

const mode = z.enum(["strict", "permissive", "disable", "unset"]);

/** The schema of `Authentication`. */
export const authenticationSchema: z.ZodType<AuthenticationPolicy> = exactly<AuthenticationPolicy>()(
  z
    .strictObject({
      kind: z.literal("Authentication"),
      ...metaFields,
      selector: optional(selectorSchema),
      mtls: optional(
        z
          .strictObject({
            mode: optional(
              mode.meta({ description: 'Default that of the namespace, the root namespace, the mesh; "strict".' }),
            ),
            ports: optional(record(mode, "By the port that the instance listens on; only with a selector.")),
          })
          .meta({ description: "What the listener accepts." }),
      ),
      jwt: optional(list(jwtRuleSchema, "Which tokens of end users are believed.")),
    })
    .meta({ description: "How callers prove who they are." }),
);
