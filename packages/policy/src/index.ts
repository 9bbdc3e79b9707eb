// For everybody who writes policies: builders, the kinds and their parts.

// For the sides of the mesh: what policies mean.
export { needsFullAccess } from "./access-feature.ts";
export type {
  AccessAction,
  AccessCondition,
  AccessOperation,
  AccessPolicy,
  AccessRule,
  AccessSource,
} from "./access-policy.ts";
export type { AccessQuestion } from "./access-question.ts";
export {
  type AdaptiveThrottling,
  DEFAULT_MAX_REJECTION_PERCENT,
  DEFAULT_REJECTIONS,
  DEFAULT_THROTTLING_MINIMUM_RPS,
  DEFAULT_THROTTLING_MULTIPLIER,
  DEFAULT_THROTTLING_WINDOW_MS,
  type EffectiveAdaptiveThrottling,
  effectiveAdaptiveThrottling,
} from "./adaptive-throttling-policy.ts";
export type { AuthenticationPolicy } from "./authentication-policy.ts";
export {
  type AccessAsk,
  type AccessDecision,
  type AccessVerdict,
  ALLOWED_BY_DEFAULT,
  type CompiledAccess,
  compileAccess,
  type DryRunFinding,
  type FittingRule,
} from "./authorization.ts";
export type { AuthorizerPolicy } from "./authorizer-policy.ts";
export { type EffectiveAuthorizer, effectiveAuthorizer } from "./authorizer-policy.ts";
export type { Balancer, EffectiveBalancer, EffectiveSlowStart, SlowStart } from "./balancer-policy.ts";
export { DEFAULT_DECAY_MS, DEFAULT_RTT_MS, effectiveBalancer } from "./balancer-policy.ts";
export {
  type AccessEnd,
  type AccessOptions,
  access,
  type Caller,
  type WrittenAccessRule,
} from "./builders/build-access.ts";
export { authentication } from "./builders/build-authentication.ts";
export { type ExternalServiceFields, externalService } from "./builders/build-external-service.ts";
export { type MeshFields, mesh } from "./builders/build-mesh.ts";
export {
  type AnswerOptions,
  type RouteBuilder,
  type RouteOptions,
  type RuleEnd,
  type RuleOptions,
  route,
  type WrittenMatch,
  type WrittenShare,
} from "./builders/build-route.ts";
export { type ServiceFields, type ServiceOf, service } from "./builders/build-service.ts";
export { definePolicies } from "./builders/define-policies.ts";
export type { Selected } from "./builders/selection.ts";
export { checkPolicies } from "./check-policies.ts";
export { checkPolicy } from "./check-policy.ts";
export { checkReferences } from "./check-references.ts";
export type { CircuitBreaker, CircuitFailure } from "./circuit-breaker-policy.ts";
export {
  circuitFailures,
  DEFAULT_CIRCUIT_FAILURES,
  DEFAULT_CIRCUIT_WINDOW_MS,
  DEFAULT_ERROR_PERCENT,
  DEFAULT_HALF_OPEN_PROBES,
  DEFAULT_MINIMUM_VOLUME,
  DEFAULT_OPEN_FOR_MS,
  type EffectiveCircuitBreaker,
  effectiveCircuitBreaker,
} from "./circuit-breaker-policy.ts";
export type { ConnectionPool, PreconnectPolicy } from "./connection-pool-policy.ts";
export {
  DEFAULT_KEEP_ALIVE_MS,
  DEFAULT_MAX_AGE_MS,
  DEFAULT_MAX_CONNECTIONS,
  DEFAULT_MAX_CONNECTIONS_PER_ENDPOINT,
  DEFAULT_MAX_PENDING_REQUESTS,
  DEFAULT_MAX_REQUESTS,
  DEFAULT_MAX_REQUESTS_PER_CONNECTION,
  DEFAULT_PRECONNECT_RATIO,
  type EffectiveConnectionPool,
  effectiveConnectionPool,
  MAX_PRECONNECTED_ENDPOINTS,
} from "./connection-pool-policy.ts";
export { type Cors, type CorsDecision, type CorsQuestion, compileCors } from "./cors-policy.ts";
export { type Credentials, type TrustBundle, withSameIdentity } from "./credentials.ts";
export {
  type DirectResponse,
  type EffectiveDirectResponse,
  effectiveDirectResponse,
} from "./direct-response-policy.ts";
export {
  type Duration,
  durationOr,
  formatDuration,
  MAX_DURATION_MS,
  parseDuration,
  tryParseDuration,
} from "./duration.ts";
export { type Endpoint, type EndpointHealth, MAX_ENDPOINT_WEIGHT, type Transport } from "./endpoint.ts";
export {
  DEFAULT_EXTERNAL_CONNECT_TIMEOUT,
  type ExternalServicePolicy,
  externalPortOf,
  isPlaintext,
  type OutsideTarget,
  passesUntouched,
  serviceOfExternal,
  targetsOfExternal,
} from "./external-service-policy.ts";
export {
  type CompiledFault,
  compileFault,
  type DrawnFault,
  type EffectiveFaultAbort,
  type FaultAbort,
  type FaultDelay,
  type FaultPolicy,
} from "./fault-policy.ts";
export { type DurationLimit, durationLimits, type NumberLimit, numberLimits } from "./field-limits.ts";
export { type GrpcStatus, grpcStatuses, grpcStatusNames, grpcStatusOfHttp, isGrpc } from "./grpc-status.ts";
export {
  type GeneratedCookie,
  generatedCookieAttributes,
  generatedCookies,
  type HashKey,
  type ServiceHashKey,
} from "./hash-key.ts";
export {
  compileHeaderChanges,
  describeHeaderChanges,
  type HeaderChanges,
  type HeaderListChange,
} from "./header-changes-policy.ts";
export {
  DEFAULT_HEALTH_CHECK_INTERVAL_MS,
  type EffectiveGrpcCheck,
  type EffectiveHealthCheck,
  type EffectiveHttpCheck,
  type EffectiveTcpCheck,
  effectiveHealthCheck,
  type GrpcHealthCheck,
  type HealthCheck,
  type HealthCheckBytes,
  type HttpHealthCheck,
  MAX_HEALTH_CHECK_BYTES,
  type TcpHealthCheck,
} from "./health-check-policy.ts";
export { DEFAULT_HEDGES, type EffectiveHedge, effectiveHedge, type HedgePolicy } from "./hedge-policy.ts";
export { DURATION_BOUNDS_SECONDS, methodAttribute } from "./http-conventions.ts";
export { parseIpAddress } from "./ip-range.ts";
export {
  type ClaimToHeader,
  type EffectiveJwtRule,
  effectiveJwtRule,
  type JwtHeader,
  type JwtRule,
  type RemoteJwks,
  sanitizeAudience,
} from "./jwt-policy.ts";
export { type EndpointLocality, fitsLocality, localityName } from "./locality-pattern.ts";
export {
  DEFAULT_MINIMUM_CLUSTER_SIZE,
  DEFAULT_OVERPROVISIONING_PERCENT,
  type EffectiveLocality,
  effectiveLocality,
  type Locality,
  type LocalityDistribution,
  type RegionFailover,
} from "./locality-policy.ts";
export { type AttemptSummary, isMeshError, MeshError, type MeshErrorDetail } from "./mesh-error.ts";
export { type MeshErrorCode, meshErrorCodes } from "./mesh-error-code.ts";
export type { MeshPolicy, MtlsMode, OutboundMode } from "./mesh-policy.ts";
export {
  DEFAULT_OUTBOUND_MODE,
  DEFAULT_ROOT_NAMESPACE,
  DEFAULT_TRUST_DOMAIN,
  DEFAULT_TRUSTED_PROXIES,
  outboundModeOf,
  pathNormalizationOf,
  rootNamespaceOf,
  trustDomainOf,
} from "./mesh-policy.ts";
export {
  DEFAULT_MIRRORS_IN_FLIGHT,
  type EffectiveMirror,
  effectiveMirror,
  type MirrorTarget,
  shadowAuthority,
} from "./mirror-policy.ts";
export { DEFAULT_MTLS_MODE, type EffectiveMtls, effectiveMtls, mtlsModeOf } from "./mtls-mode.ts";
export { buildNameIndex, type ExternalNames, type NameIndex, nearest, type ServiceNames } from "./name-index.ts";
export { nativePattern } from "./native-pattern.ts";
export { notSupported } from "./not-supported.ts";
export {
  type EffectiveOutlierDetection,
  effectiveOutlierDetection,
  type FailurePercentageDetection,
  type OutlierDetection,
  type SuccessRateDetection,
} from "./outlier-detection-policy.ts";
export { type EffectiveOutsideTls, effectiveOutsideTls, type OutsideTls } from "./outside-tls.ts";
export {
  DEFAULT_PATH_NORMALIZATION,
  normalizePath,
  type PathNormalization,
  pathForRules,
  pathInRules,
  queryOf,
} from "./path-normalization.ts";
export type { PathReplacement, RegexSubstitution, SubstitutionEngine } from "./path-replacement.ts";
export { templateValues } from "./path-template.ts";
export { DEFAULT_PERCENT, fallsWithin } from "./percent.ts";
export { type Policy, type PolicyKey, type PolicyKind, policyKey, policyKinds } from "./policy.ts";
export { type PolicyFeature, policyFeatures } from "./policy-feature.ts";
export { DEFAULT_NAMESPACE, namespaceOf, type PolicyMeta, type PolicyOrigin } from "./policy-meta.ts";
export { formatPath, type PolicyPath, parsePath } from "./policy-path.ts";
export { describeProblem, PolicyError, type PolicyProblem } from "./policy-problem.ts";
export { compileRedirect, DEFAULT_REDIRECT_STATUS, type Redirect } from "./redirect-policy.ts";
export {
  DEFAULT_BACKOFF_BASE_MS,
  DEFAULT_BACKOFF_MAX_MS,
  DEFAULT_MIN_RETRIES_PER_SECOND,
  DEFAULT_RETRIES,
  DEFAULT_RETRY_BUDGET_TTL_MS,
  DEFAULT_RETRY_CONDITIONS,
  DEFAULT_RETRY_RATIO,
  type EffectiveRetry,
  type EffectiveRetryBudget,
  effectiveRetry,
  effectiveRetryBudget,
  type RetryBudget,
  type RetryCondition,
  type RetryPolicy,
  retryConditions,
  type StatusRange,
} from "./retry-policy.ts";
export { isRevoked, normalSerial, type Revocations } from "./revocations.ts";
export { compileRewrite, type HostRewrite, type Rewrite } from "./rewrite-policy.ts";
export type { RouteMatch, RouteSource, SourceMatch } from "./route-match.ts";
export {
  compileRoutes,
  type PreparedRoutes,
  prepareRoutes,
  type RouteFound,
  type RouteMatcher,
  type RouteQuestion,
  type RouteViewer,
} from "./route-matcher.ts";
export type { RoutePolicy, RouteRule, WeightedDestination } from "./route-policy.ts";
export {
  DEFAULT_MESH,
  type ExternalServicePolicies,
  externalNamesOf,
  externalServicesOf,
  type InboundPolicies,
  inboundFor,
  meshPolicyOf,
  type ServicePolicies,
  serviceNamesOf,
  servicesOf,
} from "./select.ts";
export { fitsLabels, mayConcern, selectsWorkloads, type WorkloadSelector } from "./selector.ts";
export {
  CLUSTER_DOMAIN,
  referencedService,
  type ServiceKey,
  serviceKey,
  splitServiceKey,
} from "./service-name.ts";
export { portsWithPolicy, type ServiceOverrides, type SubsetPolicy, servicePolicyFor } from "./service-overrides.ts";
export {
  DEFAULT_PANIC_THRESHOLD,
  DEFAULT_SERVICE_PORT,
  effectiveStaleAfterMs,
  type ServicePolicy,
  serviceAccountsOf,
  servicePortOf,
} from "./service-policy.ts";
export {
  DEFAULT_SESSION_COOKIE,
  DEFAULT_SESSION_ENDPOINT_STATES,
  type EffectiveEndpointAffinity,
  type EffectiveSessionAffinity,
  type EndpointAffinity,
  effectiveEndpointAffinity,
  effectiveSessionAffinity,
  type SessionAffinity,
  type SessionCookie,
  type SessionEndpointState,
} from "./session-affinity-policy.ts";
export type { InboundSnapshot, OutboundSnapshot, ServiceSnapshot } from "./snapshot.ts";
export {
  formatSpiffeId,
  isOfTrustDomain,
  isTrustDomain,
  parseSpiffeId,
  parseWorkloadIdentity,
  principalOf,
  type SpiffeId,
  type WorkloadIdentity,
  workloadIdentity,
} from "./spiffe-id.ts";
export {
  compileStringMatch,
  type PathMatch,
  type RegexEngine,
  type RegexProof,
  type StringMatch,
} from "./string-match.ts";
export type { Subsetting } from "./subsetting-policy.ts";
export {
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_IDLE_TIMEOUT_MS,
  DEFAULT_TIMEOUT_MS,
  type EffectiveTimeouts,
  effectiveTimeouts,
} from "./timeouts.ts";
export { compileSplit, type TrafficSplit, WHOLE_SERVICE } from "./traffic-split.ts";
export { trustDomainAliasesOf } from "./trust-domain-aliases.ts";
export { requestPrincipalOf, type VerifiedToken } from "./verified-token.ts";
export { svidFlaw } from "./x509-svid.ts";
