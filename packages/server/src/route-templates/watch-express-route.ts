import type { IncomingMessage, ServerResponse } from "node:http";
import type { FoundRoute } from "../gate.ts";

/** Decides on a request whose route became known. `next` goes on to the route; without it the route's handlers never run. */
export type RouteGuard = (route: FoundRoute, next: () => void, mount?: string) => void;

type Handler = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

/** What Express calls a layer: a handler in a route's stack. One without a method runs for every method. */
interface RouteLayer {
  readonly handle: Handler;
}

/** What this file needs of an Express route. */
interface ExpressRoute {
  readonly path?: unknown;
  readonly stack: RouteLayer[];
}

const guardKey = Symbol("tulle.guard");

type GuardedRequest = IncomingMessage & {
  [guardKey]?: RouteGuard;
  /** Where the router that holds the route is mounted, as the request names it. */
  readonly baseUrl?: string;
  route?: unknown;
};

/** Our layer of each route. Weak: applications that are thrown away take their routes along. */
const guards = new WeakMap<object, RouteLayer>();

/**
 * Has a guard asked when Express finds the route for a request, before any handler of that route. Express tells a match by
 * setting `request.route`; the first time it does so for a route, a layer of ours is put before the route's own handlers.
 * Routes that were mounted before any middleware are met as well. `app.param` callbacks run before it, as Express has them.
 */
export const watchExpressRoute = (request: IncomingMessage, guard: RouteGuard): void => {
  const watched: GuardedRequest = request;
  watched[guardKey] = guard;
  let matched: unknown;
  Object.defineProperty(watched, "route", {
    configurable: true,
    enumerable: true,
    get: () => matched,
    set: (route: unknown) => {
      matched = route;
      if (isRoute(route)) putGuardFirst(route);
    },
  });
};

/** The template of the route that Express has found: the path of its router, as the request names it, and the route's own. */
export const expressTemplateOf = (request: IncomingMessage): string | undefined => {
  const { route, baseUrl = "" }: GuardedRequest = request;
  return isRoute(route) && typeof route.path === "string" ? `${baseUrl}${route.path}` : undefined;
};

/**
 * The route that Express has found, and where its router is mounted. Express does not say which of several paths fitted; and a regular
 * expression is no template.
 */
export const foundRouteOf = (
  request: IncomingMessage,
): { readonly route: FoundRoute; readonly mount: string | undefined } => {
  const { route, baseUrl: mount }: GuardedRequest = request;
  if (!isRoute(route)) return { route: undefined, mount };
  const paths: readonly unknown[] = Array.isArray(route.path) ? route.path : [route.path];
  if (!paths.every((path) => typeof path === "string")) return { route: [], mount };
  const [only, ...others] = paths.map((path) => `${mount ?? ""}${path}`);
  return { route: only === undefined || others.length === 0 ? only : [only, ...others], mount };
};

const isRoute = (route: unknown): route is ExpressRoute =>
  typeof route === "object" && route !== null && "stack" in route && Array.isArray(route.stack);

const putGuardFirst = (route: ExpressRoute): void => {
  const [first] = route.stack;
  let guard = guards.get(route);
  // Whoever puts handlers into a stack by hand may have put some before ours, or have taken it away.
  if (first === undefined || first === guard) return;
  if (guard === undefined) {
    // Express exports no way to put a layer first: a layer of the same class is made of one that is there.
    const Layer = first.constructor as new (path: string, options: object, handle: Handler) => RouteLayer; // every layer's
    guard = new Layer("/", {}, askGuard);
    guards.set(route, guard);
  }
  route.stack.unshift(guard);
};

const askGuard: Handler = (request, _response, next) => {
  const { [guardKey]: guard }: GuardedRequest = request;
  if (guard === undefined) {
    next();
    return;
  }
  const { route, mount } = foundRouteOf(request);
  guard(route, next, mount);
};
