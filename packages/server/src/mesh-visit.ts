import type { IncomingMessage, ServerResponse } from "node:http";
import type { MeshServer } from "./create-server.ts";
import type { Visit } from "./gate.ts";

/** What a handler may know of the visit that it serves: who calls, what let the call in, how long it may take. */
export type MeshVisit = Readonly<
  Pick<Visit, "peer" | "token" | "permit" | "trusted" | "listener" | "deadlineMs" | "open" | "signal" | "context">
>;

/** What the adapters need of the receiving side. */
export type AdapterServer = Pick<MeshServer, "admit" | "enter" | "settleRoute">;

/**
 * Has the gates admit a request, or finds that they did, and goes on with it: at once unless a gate waits for an answer. The
 * route template is asked for when the answer is over.
 *
 * @param framework who tells the routes of requests: `adapter` where the template is known by now.
 * @param refused hears that the refusal is written, or that the caller is gone.
 */
export const admitForFramework = (
  server: AdapterServer,
  request: IncomingMessage,
  response: ServerResponse,
  framework: {
    readonly tellsRoutes: "express" | "adapter";
    readonly routeOf: () => string | undefined;
    readonly serve: (visit: Visit) => void;
    readonly refused?: () => void;
  },
): void => {
  const settle = (visit: Visit | undefined): void => {
    if (visit === undefined) {
      framework.refused?.();
      return;
    }
    // Frameworks know the template only after they have matched; telemetry reads it in its own "close" listener, after this one.
    response.prependOnceListener("close", () => {
      visit.route = framework.routeOf();
    });
    if (
      framework.tellsRoutes === "express" ||
      visit.decideRoute === undefined ||
      server.settleRoute(visit, response, framework.routeOf())
    ) {
      framework.serve(visit);
    } else framework.refused?.();
  };
  const admitted = server.admit(request, response, framework.tellsRoutes);
  if (admitted instanceof Promise) void admitted.then(settle);
  else settle(admitted);
};
