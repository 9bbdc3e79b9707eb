import type { z } from "zod";
import type { Policy, PolicyKind } from "../policy.ts";
import { accessSchema } from "./access-schema.ts";
import { authenticationSchema } from "./authentication-schema.ts";
import { externalServiceSchema } from "./external-service-schema.ts";
import { meshSchema } from "./mesh-schema.ts";
import { routeSchema } from "./route-schema.ts";
import { serviceSchema } from "./service-schema.ts";

/** The schema of every kind. */
export const policySchemas: { readonly [Kind in PolicyKind]: z.ZodType<Extract<Policy, { readonly kind: Kind }>> } = {
  Mesh: meshSchema,
  Service: serviceSchema,
  ExternalService: externalServiceSchema,
  Route: routeSchema,
  Access: accessSchema,
  Authentication: authenticationSchema,
};
