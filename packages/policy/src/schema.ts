import { accessSchema } from "./schema/access-schema.ts";
import { authenticationSchema } from "./schema/authentication-schema.ts";
import { type JsonSchemaDraft, jsonSchemaDrafts, policyJsonSchema } from "./schema/json-schema.ts";
import { policySchemas } from "./schema/kinds.ts";
import { meshSchema } from "./schema/mesh-schema.ts";
import { type ParsedPolicies, parsePolicies } from "./schema/parse-policies.ts";
import { routeSchema } from "./schema/route-schema.ts";
import { serviceSchema } from "./schema/service-schema.ts";

// The entry of the package that needs zod, an optional peer.
export {
  accessSchema,
  authenticationSchema,
  type JsonSchemaDraft,
  jsonSchemaDrafts,
  meshSchema,
  type ParsedPolicies,
  parsePolicies,
  policyJsonSchema,
  policySchemas,
  routeSchema,
  serviceSchema,
};
