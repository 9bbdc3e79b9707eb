// For users of the mesh.

// For the other packages of the mesh: whether a snapshot can be run.
export { unknownBalancers } from "./balancing/check-balancers.ts";
export type { BalancerKit, CreateBalancer, CustomBalancer, CustomBalancers } from "./balancing/custom-balancer.ts";
export { type Balanced, type CandidateFigures, createPicker, type Outcome, type Picker } from "./balancing/picker.ts";
export { checkOutbound } from "./check-outbound.ts";
export { type Client, type ClientOptions, createClient } from "./create-client.ts";
export { type EndpointFigures, newFigures } from "./endpoints/endpoint-figures.ts";
export type { EndpointState } from "./endpoints/endpoint-state.ts";
export type { EjectionCause, EjectionDecision } from "./endpoints/outlier-ejection.ts";
export { type ExplainInit, explain } from "./explain.ts";
export type { ExplainedAttempt, ExplainedDestination, Explanation } from "./explanation.ts";
export type { MeshDispatchOptions } from "./faces/dispatcher.ts";
export type { MeshFetch } from "./faces/fetch.ts";
export type { MeshRequestInit, RequestLike } from "./faces/fetch-request.ts";
export type { MeshRequest, MeshRequestOptions } from "./faces/request.ts";
export { supportedPolicyFeatures } from "./routing/regex-engine.ts";
export type { CallOptions, Inherited } from "./send.ts";
