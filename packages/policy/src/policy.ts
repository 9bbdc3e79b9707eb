import type { AccessPolicy } from "./access-policy.ts";
import type { AuthenticationPolicy } from "./authentication-policy.ts";
import type { ExternalServicePolicy } from "./external-service-policy.ts";
import type { MeshPolicy } from "./mesh-policy.ts";
import { namespaceOf } from "./policy-meta.ts";
import type { RoutePolicy } from "./route-policy.ts";
import type { ServicePolicy } from "./service-policy.ts";

/** Any policy, told apart by `kind`. */
export type Policy =
  | MeshPolicy
  | ServicePolicy
  | ExternalServicePolicy
  | RoutePolicy
  | AccessPolicy
  | AuthenticationPolicy;

/** Every kind, in the order in which people are told of them. */
export const policyKinds: readonly PolicyKind[] = [
  "Mesh",
  "Service",
  "ExternalService",
  "Route",
  "Access",
  "Authentication",
];

/** The kinds that exist today. */
export type PolicyKind = Policy["kind"];

/** What tells a policy from all others: `Route/default/reviews`. */
export type PolicyKey = `${PolicyKind}/${string}/${string}`;

/** The key of a policy. */
export const policyKey = (policy: Policy): PolicyKey => `${policy.kind}/${namespaceOf(policy)}/${policy.name}`;
