import type { IncomingMessage, ServerResponse } from "node:http";
import { constants } from "node:http2";
import type { Duplex } from "node:stream";
import {
  DEFAULT_PATH_NORMALIZATION,
  type MtlsMode,
  mtlsModeOf,
  normalizePath,
  pathForRules,
  pathInRules,
  queryOf,
} from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { admit } from "./admission.ts";
import type { TellsRoutes } from "./application.ts";
import { type Connection, knownConnection } from "./connection.ts";
import type { FoundRoute, Gate, Refusal } from "./gate.ts";
import { guardReply } from "./guard-reply.ts";
import type { InboundPolicy } from "./inbound-policy.ts";
import { presentAsHttp1, streamOf } from "./listener/h2-request.ts";
import type { LoadReports } from "./load-report.ts";
import type { VisitObserver } from "./observe-visit.ts";
import type { PlaintextCallers } from "./plaintext-callers.ts";
import { refuse, refuseRaw } from "./refusal.ts";
import { releaseReply, settleBeforeReply } from "./route-templates/settle-before-reply.ts";
import { foundRouteOf, watchExpressRoute } from "./route-templates/watch-express-route.ts";
import { type ListenerState, OpenVisit, rememberVisit } from "./visit.ts";
import { bindRequestEvents, type RunInVisit } from "./visit-events.ts";
import { VisitPermit } from "./visit-permit.ts";

/** What admitting needs of the server. */
export interface AdmissionDesk {
  readonly gates: readonly Gate[];
  /** Whether a refusal refuses, or is only noted while the service has not moved in. */
  readonly enforces: boolean;
  readonly observer: VisitObserver;
  readonly clock: Clock;
  readonly current: { readonly policy: InboundPolicy | undefined };
  /** Runs the handler inside the visit's context. */
  readonly runIn: RunInVisit;
  /** Tells callers how busy the process is. */
  readonly load: LoadReports;
  /** Who still comes in without an identity; `undefined` where the mesh is turned off. */
  readonly plaintext: PlaintextCallers | undefined;
  /** What is known of a socket that came in by a listener of the service's own. */
  readonly inspect: (request: IncomingMessage) => Connection;
}

/** The visit that was admitted, `undefined` where it was refused, or a promise of either while a gate is waited for. */
export type Admitted = OpenVisit | undefined | Promise<OpenVisit | undefined>;

/**
 * Makes a visit of a request and asks the gates. A refused one is answered here, and `undefined` comes back. The body is not
 * touched meanwhile: it waits in the request, and its sender behind it. A caller that goes away ends the wait.
 */
export const admitRequest = (
  desk: AdmissionDesk,
  request: IncomingMessage,
  response: ServerResponse,
  listener: ListenerState,
  tellsRoutes: () => TellsRoutes,
): Admitted => {
  if (request.httpVersionMajor >= 2 && !presentAsHttp1(request)) return undefined;
  const visit = openVisit(desk, request, listener, listener.kind === "own" && tellsRoutes() === "adapter");
  const answer = admit(desk.gates, visit);
  desk.observer.begin(visit);
  // "close" comes after every answer, finished or broken off, and in no other case.
  response.once("close", () =>
    endVisit(desk, visit, response.headersSent ? response.statusCode : undefined, isWhole(response)),
  );
  if (!(answer instanceof Promise)) return concludeRequest(desk, visit, response, answer, tellsRoutes);
  visit.admission = answer.then((refusal) =>
    visit.open ? concludeRequest(desk, visit, response, refusal, tellsRoutes) : undefined,
  );
  return visit.admission;
};

const concludeRequest = (
  desk: AdmissionDesk,
  visit: OpenVisit,
  response: ServerResponse,
  answer: Refusal | undefined,
  tellsRoutes: () => TellsRoutes,
): OpenVisit | undefined => {
  const tells = visit.decideRoute === undefined ? undefined : tellsRoutes();
  const refusal = answer ?? (tells === "nobody" ? untold : undefined);
  if (isRefused(desk, visit, refusal)) {
    refuse(visit, refusal, response);
    return undefined;
  }
  visit.load = desk.load;
  visit.found = desk.load.enter();
  serve(desk, visit);
  guardReply(response, visit);
  bindRequestEvents(visit.request, desk.runIn);
  // Express answers without a route before it has found one, or in a callback of a parameter when it has. Behind an adapter, which
  // is asked for every call, it means that somebody was quicker, such as a hook before the adapter's: nobody told the route.
  if (tells === "adapter") settleBeforeReply(response, () => settleRoute(desk, visit, response, []));
  else if (tells !== undefined) {
    settleBeforeReply(response, () => {
      const { route, mount } = foundRouteOf(visit.request);
      return settleRoute(desk, visit, response, route, mount);
    });
  }
  if (tells === "express") {
    watchExpressRoute(visit.request, (route, next, mount) => {
      if (settleRoute(desk, visit, response, route, mount)) next();
    });
  }
  return visit;
};

/** Nobody will say the route that a rule needs, so the rule can never be asked. */
const untold: Refusal = {
  code: "ACCESS_DENIED",
  detail:
    "a rule names route templates, and the handler tells none: hand mesh.listen the Express application itself, or a Fastify instance with fastifyMesh registered",
};

/**
 * The framework has found a route, or answers without one: the rules that name routes are asked. Whether it may be served; where
 * not, the refusal is written.
 */
export const settleRoute = (
  desk: AdmissionDesk,
  visit: OpenVisit,
  response: ServerResponse,
  route: FoundRoute,
  mount?: string,
): boolean => {
  const refusal = visit.decideRoute?.(route, mount);
  releaseReply(response);
  if (!isRefused(desk, visit, refusal)) return true;
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  refuse(visit, refusal, response);
  return false;
};

/** The same for an upgrade or CONNECT; the visit lasts as long as the socket. */
export const admitSocket = (
  desk: AdmissionDesk,
  request: IncomingMessage,
  socket: Duplex,
  listener: ListenerState,
): Admitted => {
  const visit = openVisit(desk, request, listener);
  const answer = admit(desk.gates, visit);
  desk.observer.begin(visit);
  socket.once("close", () => endVisit(desk, visit, undefined, visit.served));
  if (!(answer instanceof Promise)) return concludeSocket(desk, visit, socket, answer);
  // Node has let go of the socket: without a listener a caller's reset would be an uncaught exception.
  socket.on("error", ignore);
  visit.admission = answer.then((refusal) => {
    if (!visit.open) return undefined;
    const admitted = concludeSocket(desk, visit, socket, refusal);
    if (admitted !== undefined) socket.off("error", ignore);
    return admitted;
  });
  return visit.admission;
};

const concludeSocket = (
  desk: AdmissionDesk,
  visit: OpenVisit,
  socket: Duplex,
  answer: Refusal | undefined,
): OpenVisit | undefined => {
  // Frameworks that serve sockets find the route themselves, and tell nobody.
  const refusal = answer ?? visit.decideRoute?.([]);
  if (isRefused(desk, visit, refusal)) {
    // The caller may be gone before it has read the refusal.
    socket.on("error", ignore);
    refuseRaw(visit, refusal, socket);
    return undefined;
  }
  // The caller waits that long for the connection, not for what is said on it.
  visit.deadlineMs = undefined;
  serve(desk, visit);
  return visit;
};

const serve = (desk: AdmissionDesk, visit: OpenVisit): void => {
  visit.onDenied = (refusal) => desk.observer.refused(refusal, visit, true);
  visit.serve();
};

/** "close" follows, and ends the visit. */
const ignore = (): void => undefined;

/** @param routed whether the framework has found the route already, by the path as it came in */
const openVisit = (
  desk: AdmissionDesk,
  request: IncomingMessage,
  listener: ListenerState,
  routed = false,
): OpenVisit => {
  const path = request.method === "CONNECT" ? connectTarget(request.url) : readPath(desk, request, routed);
  const visit = new OpenVisit(
    {
      request,
      path,
      startedAtMs: desk.clock.now(),
      listener,
      mtls: modeOf(desk.current.policy, request, listener),
      connection: knownConnection(request.socket) ?? desk.inspect(request),
    },
    desk.clock,
  );
  visit.connection.visits++;
  notePlaintext(desk, visit);
  rememberVisit(visit);
  return visit;
};

/** Whoever is served as a stranger on a port of the mesh would be refused if it were strict. */
const notePlaintext = ({ plaintext, observer, enforces }: AdmissionDesk, visit: OpenVisit): void => {
  const { transport } = visit.connection.peer;
  if (transport === "mtls" || plaintext === undefined || visit.listener === "public") return;
  if (enforces && visit.mtls === "strict") return;
  plaintext.note(visit.request, transport);
  observer.plaintext(transport);
};

/**
 * The path as rules compare it. The handler is given the same path, for else it might read another one out of what the rules
 * let pass. Where a framework has found the route already, a path that leads elsewhere is refused: rules would be asked about one
 * route, and another served. While the service has not moved in, nothing is changed.
 */
const readPath = (desk: AdmissionDesk, request: IncomingMessage, routed: boolean): string | undefined => {
  const mode = desk.current.policy?.normalization ?? DEFAULT_PATH_NORMALIZATION;
  const mounted = mountedTarget(request);
  const target = mounted ?? request.url ?? "/";
  const path = normalizePath(target, mode);
  if (path === undefined) return undefined;
  if (mounted !== undefined) return desk.enforces && !isReadAlike(target, path) ? undefined : pathForRules(path, mode);
  // A fragment behind the query is no part of what the path says, and still not handed on.
  const isSame = target.startsWith(path) && (target.length === path.length || target[path.length] === "?");
  if (desk.enforces && !(isSame && !target.includes("#"))) {
    if (routed && !isReadAlike(target, path)) return undefined;
    rewriteTarget(request, target, path + queryOf(target));
  }
  return pathForRules(path, mode);
};

/** Where Express has mounted the middleware at a path it has taken that off; rules are about the whole. */
const mountedTarget = ({ baseUrl, originalUrl }: MountedRequest): string | undefined =>
  typeof baseUrl === "string" && baseUrl !== "" && typeof originalUrl === "string" ? originalUrl : undefined;

type MountedRequest = IncomingMessage & { readonly baseUrl?: unknown; readonly originalUrl?: unknown };

/** Whether a framework reads a target as its normalised path: it decodes escapes before it compares, so much may differ. */
const isReadAlike = (target: string, path: string): boolean =>
  pathInRules(target.replace(/[?#].*$/s, "")) === pathForRules(path, "base");

/** Express keeps the target as it came in, and has done so already where the service keeps its own listener. */
const rewriteTarget = (request: IncomingMessage & { originalUrl?: unknown }, came: string, target: string): void => {
  request.url = target;
  if (request.originalUrl === came) request.originalUrl = target;
};

/** A listener of the service's own is told from others by the port that the socket came in by. */
const modeOf = (policy: InboundPolicy | undefined, { socket }: IncomingMessage, { port }: ListenerState): MtlsMode => {
  if (policy === undefined) return "strict";
  return policy.mtls.ports.size === 0 ? policy.mtls.mode : mtlsModeOf(policy.mtls, port ?? socket.localPort);
};

/** The target of CONNECT is an authority and no path (RFC 9110, 9.3.6); rules see it as it is. */
const connectTarget = (target: string | undefined): string | undefined => target || undefined;

/** Notes what the gates said. Whether it is enforced. */
const isRefused = (desk: AdmissionDesk, visit: OpenVisit, refusal: Refusal | undefined): refusal is Refusal => {
  if (refusal === undefined) return false;
  visit.refusal = refusal;
  desk.observer.refused(refusal, visit, desk.enforces);
  if (desk.enforces) return true;
  visit.permit ??= new VisitPermit("default", visit.connection.peer, visit);
  return false;
};

/** Whether an answer went out to its end. The compatibility API of HTTP/2 does not tell; its stream does. */
const isWhole = (response: ServerResponse): boolean => {
  const stream = streamOf(response);
  return stream === undefined
    ? response.writableFinished
    : response.writableEnded && stream.rstCode === constants.NGHTTP2_NO_ERROR;
};

const endVisit = (desk: AdmissionDesk, visit: OpenVisit, status: number | undefined, complete: boolean): void => {
  visit.connection.visits--;
  visit.end(complete ? "answered" : "caller-gone");
  desk.observer.end(visit, complete ? status : undefined, desk.enforces ? visit.refusal : undefined);
  // A reply whose headers were out before its connection had to end could not say so.
  const { retiring, visits, shared } = visit.connection;
  if (!retiring || visits > 0) return;
  if (shared === undefined) visit.request.socket.destroySoon();
  else shared.close();
};
