import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { AdapterServer, MeshVisit } from "./mesh-visit.ts";
import { answerRefused } from "./refused-by-handler.ts";
import { whenAdmitted } from "./when-admitted.ts";

export type { AdapterServer, MeshVisit } from "./mesh-visit.ts";

/** A `node:http` handler that is told of its visit. */
export type VisitHandler = (request: IncomingMessage, response: ServerResponse, visit: MeshVisit) => unknown;

/**
 * Wraps a `node:http` handler: it is given the visit and runs inside it. Behind `mesh.listen` the gates ran before; on a
 * server of the service's own they run here.
 */
export const meshHandler =
  (server: AdapterServer, handler: VisitHandler): RequestListener =>
  (request, response) => {
    whenAdmitted(server.admit(request, response), (visit) => {
      server.enter(visit, () => answerRefused(visit, response, () => handler(request, response, visit)));
    });
  };
