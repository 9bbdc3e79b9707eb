import type { Endpoint } from "@tulle/policy";
import type { EndpointFigures } from "./endpoint-figures.ts";
import { isEjected } from "./outlier-ejection.ts";
import { isAvoided } from "./probation.ts";

/** Whether calls may go to an endpoint, and if not, why. */
export type EndpointState =
  | "healthy"
  /** The registry has not heard of it for a while; it is called like a healthy one. */
  | "stale"
  /** The registry says that it leaves: no new calls. */
  | "draining"
  /** The registry says that it cannot serve: no calls. */
  | "unhealthy"
  /** It could not be reached: no calls while another endpoint is left, until its probation is over. */
  | "unreachable"
  /** It failed too often: no calls while another endpoint is left, until its ejection is over. */
  | "ejected";

/** The state of an endpoint now: what the registry says, then what this client has seen itself. */
export const stateOf = (
  { endpoint, figures }: { readonly endpoint: Endpoint; readonly figures: EndpointFigures },
  nowMs: number,
): EndpointState => {
  if (endpoint.health === "draining" || endpoint.health === "unhealthy") return endpoint.health;
  if (isAvoided(figures.reach, nowMs)) return "unreachable";
  return isEjected(figures.outlier, nowMs) ? "ejected" : endpoint.health;
};
