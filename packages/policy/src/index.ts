export type {
	AccessOperation,
	AccessPolicy,
	AccessRule,
	AccessSource,
} from "./access-policy.ts";
export type { AuthenticationPolicy } from "./authentication-policy.ts";
export type { Credentials, TrustBundle } from "./credentials.ts";
export {
	type Duration,
	formatDuration,
	MAX_DURATION_MS,
	parseDuration,
	tryParseDuration,
} from "./duration.ts";
export type { Endpoint, EndpointHealth, Transport } from "./endpoint.ts";
export {
	type AttemptSummary,
	isMeshError,
	MeshError,
	type MeshErrorDetail,
} from "./mesh-error.ts";
export { type MeshErrorCode, meshErrorCodes } from "./mesh-error-code.ts";
export type { MeshPolicy, MtlsMode, OutboundMode } from "./mesh-policy.ts";
export {
	buildNameIndex,
	type NameIndex,
	nearest,
	type ServiceNames,
} from "./name-index.ts";
export {
	type Policy,
	type PolicyKey,
	type PolicyKind,
	policyKey,
} from "./policy.ts";
export {
	DEFAULT_NAMESPACE,
	namespaceOf,
	type PolicyMeta,
	type PolicyOrigin,
} from "./policy-meta.ts";
export type {
	RetryBudget,
	RetryCondition,
	RetryPolicy,
} from "./retry-policy.ts";
export type {
	RouteMatch,
	RoutePolicy,
	RouteRule,
	WeightedDestination,
} from "./route-policy.ts";
export type { WorkloadSelector } from "./selector.ts";
export {
	CLUSTER_DOMAIN,
	referencedService,
	type ServiceKey,
	serviceKey,
	splitServiceKey,
} from "./service-name.ts";
export {
	type Balancer,
	type CircuitBreaker,
	type ConnectionPool,
	type ServicePolicy,
	serviceAccountsOf,
} from "./service-policy.ts";
export type {
	InboundSnapshot,
	OutboundSnapshot,
	ServiceSnapshot,
} from "./snapshot.ts";
export type { PathMatch, StringMatch } from "./string-match.ts";
