/**
 * Optional capabilities of a member that some policies need. A member says those that it has in its hello; who applies a
 * policy is told which members lack one that it needs.
 */
export const policyFeatures = [
  /** Patterns that are not proven linear: the member can load the package re2js. */
  "policy:regex-re2",
  /** What is called outside the mesh: the kind `ExternalService`, and `tls` and `fallback: dns` of `Service`. */
  "policy:external-service",
  /** Tokens of end users: `jwt` of `Authentication`. */
  "policy:jwt",
  /** `locality` of a `Service`. */
  "policy:locality",
  /** `healthCheck` of a `Service` or an `ExternalService`. */
  "policy:health-check",
  /** `ports`, `portPolicies` and `subsetPolicies` of a `Service`. */
  "policy:service-overrides",
  /** `sessionAffinity.endpoint` of a `Route`'s rule. */
  "policy:endpoint-session",
  /** `protocol: http2` and `grpc` of `Service`, and its checks in gRPC. */
  "policy:http2",
  /** All of `Access`: audit, custom and dry-run; every field of a rule; `pathNormalization`, `trustedProxies` and `authorizers` of `Mesh`. */
  "policy:access-full",
  /** `selector.labels`, `mtls.ports` of `Authentication`, `rootNamespace` and `trustDomainAliases` of `Mesh`. */
  "policy:workloads",
] as const;

/** One of {@link policyFeatures}. */
export type PolicyFeature = (typeof policyFeatures)[number];
