import type { Server } from "node:http";
import { type AdmissionDesk, admitRequest, admitSocket } from "../admit-request.ts";
import type { Application, SocketEvent } from "../application.ts";
import { answerRefused } from "../refused-by-handler.ts";
import type { ListenerState } from "../visit.ts";
import { whenAdmitted } from "../when-admitted.ts";

/**
 * Puts the gates between a server's events and the application. Requests, upgrades and CONNECT all pass them. Returns the
 * way to stop listening to the application.
 */
export const serveApplication = (
  server: Server,
  application: Application,
  listener: ListenerState,
  desk: AdmissionDesk,
): (() => void) => {
  server.on("request", (request, response) => {
    whenAdmitted(admitRequest(desk, request, response, listener, application.tellsRoutes), (visit) => {
      desk.runIn(visit, () => answerRefused(visit, response, () => application.handle(request, response)));
    });
  });
  server.on("checkContinue", (request, response) => {
    whenAdmitted(admitRequest(desk, request, response, listener, application.tellsRoutes), (visit) => {
      // Only now: a refused caller need not send its body at all.
      response.writeContinue();
      desk.runIn(visit, () => answerRefused(visit, response, () => application.handle(request, response)));
    });
  });

  const listening = new Set<SocketEvent>();
  const want = (event: SocketEvent): void => {
    if (listening.has(event)) return;
    listening.add(event);
    server.on(event, (request, socket, head) => {
      whenAdmitted(admitSocket(desk, request, socket, listener), (visit) => {
        desk.runIn(visit, () => application.handleSocket(event, request, socket, head));
      });
    });
  };
  for (const event of ["upgrade", "connect"] as const) if (application.wants(event)) want(event);
  return application.onWant(want);
};
