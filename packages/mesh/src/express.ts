import { type ExpressMiddleware, expressMesh as middlewareOf } from "@tulle/server/express";
import { boundServer } from "./bound-server.ts";
import type { Mesh } from "./mesh.ts";

export type { ExpressMiddleware, MeshVisit } from "@tulle/server/express";

/**
 * Middleware for Express 5. Behind `mesh.listen` it informs: `req.mesh` tells the caller and the permit, and telemetry learns
 * the route template. On a listener of the service's own it runs all gates, so mount it first.
 */
export const expressMesh = (mesh: Mesh): ExpressMiddleware => middlewareOf(boundServer(mesh));
