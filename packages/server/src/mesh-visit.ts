import type { IncomingMessage, ServerResponse } from "node:http";
import type { MeshServer } from "./create-server.ts";
import type { Visit } from "./gate.ts";

/** What a handler may know of the visit that it serves: who calls, what let the call in, how long it may take. */
export type MeshVisit = Readonly<
  Pick<Visit, "peer" | "permit" | "trusted" | "listener" | "deadlineMs" | "open" | "signal" | "context">
>;

/** What the adapters need of the receiving side. */
export type AdapterServer = Pick<MeshServer, "admit" | "enter">;

/** Has the gates admit a request, or finds that they did; the route template is asked for when the answer is over. */
export const admitForFramework = (
  server: AdapterServer,
  request: IncomingMessage,
  response: ServerResponse,
  routeOf: () => string | undefined,
): Visit | undefined => {
  const visit = server.admit(request, response);
  // Frameworks know the template only after they have matched; telemetry reads it in its own "close" listener, after this one.
  if (visit !== undefined) {
    response.prependOnceListener("close", () => {
      visit.route = routeOf();
    });
  }
  return visit;
};
