import type { Endpoint } from "@tulle/policy";
import type { EndpointFigures } from "./endpoint-figures.ts";
import { isEjected } from "./outlier-ejection.ts";
import { isAvoided } from "./probation.ts";

/** Whether calls may go to an endpoint, and if not, why. */
export type EndpointState =
  | "healthy"
  /** The registry has not heard of it for a while; it is called like a healthy one. */
  | "stale"
  /** It was stale for longer than the policy allows: no calls while another endpoint is left. */
  | "expired"
  /** The registry says that it leaves: no new calls. */
  | "draining"
  /** The registry says that it cannot serve: no calls. Or health checks say so: none while another endpoint is left. */
  | "unhealthy"
  /** Its first health check is not over: no calls while another endpoint is left. */
  | "pending"
  /** It said in a health check or in a reply that it is degraded: calls only as far as the healthy ones are not enough. */
  | "degraded"
  /** It could not be reached: no calls while another endpoint is left, until its probation is over. */
  | "unreachable"
  /** It failed too often: no calls while another endpoint is left, until its ejection is over. */
  | "ejected";

/** Whether calls must go elsewhere, unless so many are in such a state that it counts no more. */
export const isFailing = (state: EndpointState): boolean =>
  state === "ejected" || state === "unhealthy" || state === "pending" || state === "expired";

/** The state of an endpoint now: what the registry says, then what this client has seen itself, then its health checks. */
export const stateOf = (
  { endpoint, figures }: { readonly endpoint: Endpoint; readonly figures: EndpointFigures },
  nowMs: number,
): EndpointState => {
  if (endpoint.health === "draining" || endpoint.health === "unhealthy") return endpoint.health;
  if (isAvoided(figures.reach, nowMs)) return "unreachable";
  const { state, degraded } = figures.health;
  if (state === "unhealthy" || state === "pending") return state;
  if (isEjected(figures.outlier, nowMs)) return "ejected";
  if (nowMs >= figures.expiresAtMs) return "expired";
  return degraded || nowMs < figures.degradedUntilMs ? "degraded" : endpoint.health;
};
