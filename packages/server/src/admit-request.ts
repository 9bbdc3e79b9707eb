import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { normalizePath } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { admit } from "./admission.ts";
import { type Connection, knownConnection } from "./connection.ts";
import type { Gate } from "./gate.ts";
import { guardReply } from "./guard-reply.ts";
import type { InboundPolicy } from "./inbound-policy.ts";
import type { LoadReports } from "./load-report.ts";
import type { VisitObserver } from "./observe-visit.ts";
import { refuse, refuseRaw } from "./refusal.ts";
import { type ListenerState, OpenVisit, rememberVisit } from "./visit.ts";
import { bindRequestEvents, type RunInVisit } from "./visit-events.ts";

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
  /** What is known of a socket that came in by a listener of the service's own. */
  readonly inspect: (request: IncomingMessage) => Connection;
}

/** Makes a visit of a request and asks the gates. A refused one is answered here, and `undefined` comes back. */
export const admitRequest = (
  desk: AdmissionDesk,
  request: IncomingMessage,
  response: ServerResponse,
  listener: ListenerState,
): OpenVisit | undefined => {
  const visit = openVisit(desk, request, listener);
  const refused = examine(desk, visit);
  // "close" comes after every answer, finished or broken off, and in no other case.
  response.once("close", () =>
    endVisit(desk, visit, response.headersSent ? response.statusCode : undefined, response.writableFinished),
  );
  if (refused) {
    refuse(visit, refused, response);
    return undefined;
  }
  visit.load = desk.load;
  visit.found = desk.load.enter();
  guardReply(response, visit);
  bindRequestEvents(request, desk.runIn);
  return visit;
};

/** The same for an upgrade or CONNECT; the visit lasts as long as the socket. */
export const admitSocket = (
  desk: AdmissionDesk,
  request: IncomingMessage,
  socket: Duplex,
  listener: ListenerState,
): OpenVisit | undefined => {
  const visit = openVisit(desk, request, listener);
  const refused = examine(desk, visit);
  socket.once("close", () => endVisit(desk, visit, undefined, refused === undefined));
  if (refused) {
    refuseRaw(visit, refused, socket);
    return undefined;
  }
  // The caller waits that long for the connection, not for what is said on it.
  visit.deadlineMs = undefined;
  return visit;
};

const openVisit = (desk: AdmissionDesk, request: IncomingMessage, listener: ListenerState): OpenVisit => {
  const visit = new OpenVisit(
    {
      request,
      path: request.method === "CONNECT" ? connectTarget(request.url) : normalizePath(request.url ?? "/"),
      startedAtMs: desk.clock.now(),
      listener,
      mtls: desk.current.policy?.mtls ?? "strict",
      connection: knownConnection(request.socket) ?? desk.inspect(request),
    },
    desk.clock,
  );
  visit.connection.visits++;
  rememberVisit(visit);
  return visit;
};

/** The target of CONNECT is an authority and no path (RFC 9110, 9.3.6); rules see it as it is. */
const connectTarget = (target: string | undefined): string | undefined => target || undefined;

const examine = (desk: AdmissionDesk, visit: OpenVisit): OpenVisit["refusal"] => {
  const refusal = admit(desk.gates, visit);
  desk.observer.begin(visit);
  if (refusal === undefined) return undefined;
  visit.refusal = refusal;
  desk.observer.refused(refusal, visit, desk.enforces);
  if (desk.enforces) return refusal;
  visit.permit ??= { by: "default", peer: visit.connection.peer };
  return undefined;
};

const endVisit = (desk: AdmissionDesk, visit: OpenVisit, status: number | undefined, complete: boolean): void => {
  visit.connection.visits--;
  visit.end(complete ? "answered" : "caller-gone");
  desk.observer.end(visit, complete ? status : undefined, desk.enforces ? visit.refusal : undefined);
};
