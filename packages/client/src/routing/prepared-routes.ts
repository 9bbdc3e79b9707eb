import { type PreparedRoutes, prepareRoutes, type RoutePolicy } from "@tulle/policy";
import { regexEngine } from "./regex-engine.ts";

/** By the identity of the routes, which unchanged parts of snapshots keep. */
const known = new WeakMap<readonly RoutePolicy[], PreparedRoutes>();

/**
 * The compiled comparisons of routes. Made once, though a member asks for them when it checks a snapshot, when it takes it,
 * and again whenever something else about the service changes.
 *
 * @throws when a pattern or template cannot be compiled.
 */
export const preparedRoutes = (routes: readonly RoutePolicy[]): PreparedRoutes => {
  const found = known.get(routes) ?? prepareRoutes(routes, regexEngine);
  known.set(routes, found);
  return found;
};
