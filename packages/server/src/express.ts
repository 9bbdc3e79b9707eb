import type { RequestHandler } from "express";
import { type AdapterServer, admitForFramework, type MeshVisit } from "./mesh-visit.ts";
import { expressTemplateOf } from "./route-templates/watch-express-route.ts";

export type { AdapterServer, MeshVisit } from "./mesh-visit.ts";

declare global {
  // The namespace is how Express lets middleware add fields to its request.
  namespace Express {
    interface Request {
      /** The visit that this request is, where `expressMesh` is mounted. */
      mesh?: MeshVisit;
    }
  }
}

/** Middleware of Express 5. */
export type ExpressMiddleware = RequestHandler;

/**
 * Middleware for Express 5: gives handlers `req.mesh`, runs them inside the visit, and tells telemetry the route
 * template. Behind `mesh.listen` the gates ran before Express saw the request; on a listener of the service's own they
 * run here, so mount it first.
 */
export const expressMesh =
  (server: AdapterServer): ExpressMiddleware =>
  (request, response, next) => {
    admitForFramework(server, request, response, {
      tellsRoutes: "express",
      routeOf: () => expressTemplateOf(request),
      serve: (visit) => {
        request.mesh = visit;
        server.enter(visit, next);
      },
    });
  };
