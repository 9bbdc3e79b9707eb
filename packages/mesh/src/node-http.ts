import type { RequestListener } from "node:http";
import { meshHandler as handlerOf, type VisitHandler } from "@tulle/server/node-http";
import { boundServer } from "./bound-server.ts";
import type { Mesh } from "./mesh.ts";

export type { MeshVisit, VisitHandler } from "@tulle/server/node-http";

/**
 * Wraps a `node:http` handler: it is given the visit (caller, permit, deadline) as its third argument. Behind `mesh.listen` the
 * gates ran before; on a server of the service's own they run here.
 */
export const meshHandler = (mesh: Mesh, handler: VisitHandler): RequestListener =>
  handlerOf(boundServer(mesh), handler);
