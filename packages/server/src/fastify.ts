import type { FastifyPluginCallback, FastifyRequest, RawRequestDefaultExpression } from "fastify";
import type { Visit } from "./gate.ts";
import { type AdapterServer, admitForFramework, type MeshVisit } from "./mesh-visit.ts";
import { paramsTakenOut } from "./tokens/token-places.ts";

export type { AdapterServer, MeshVisit } from "./mesh-visit.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The visit that this request is, where `fastifyMesh` is registered. */
    mesh: MeshVisit | null;
  }
}

/** Options of the plugin. */
export interface FastifyMeshOptions {
  readonly mesh: AdapterServer;
}

const plugin: FastifyPluginCallback<FastifyMeshOptions> = (fastify, { mesh }, done) => {
  fastify.decorateRequest("mesh", null);
  const visits = new WeakMap<FastifyRequest, Visit>();
  fastify.addHook("onRequest", (request, reply, next) => {
    const raw: RawRequestDefaultExpression = request.raw;
    const asked = raw.url ?? "";
    admitForFramework(mesh, raw, reply.raw, {
      tellsRoutes: "adapter",
      routeOf: () => request.routeOptions.url,
      serve: (visit) => {
        if (raw.url !== asked) forgetParams(request.query, paramsTakenOut(asked, raw.url ?? ""));
        request.mesh = visit;
        visits.set(request, visit);
        mesh.enter(visit, next);
      },
      // Fastify must not answer a second time.
      refused: () => void reply.hijack(),
    });
  });
  // Fastify reads the body between the hooks, on events of the connection: the visit is entered anew behind it.
  fastify.addHook("preValidation", (request, _reply, next) => {
    const visit = visits.get(request);
    if (visit === undefined) next();
    else mesh.enter(visit, next);
  });
  done();
};

/** Fastify read the query before the gates took a token out of it. */
const forgetParams = (query: unknown, names: readonly string[]): void => {
  if (typeof query !== "object" || query === null) return;
  for (const name of names) Reflect.deleteProperty(query, name);
};

/**
 * Plugin for Fastify 5: gives handlers `request.mesh`, runs them inside the visit, and tells telemetry the route template.
 * Behind `mesh.listen` the gates ran before Fastify saw the request; on a listener of the service's own they run here.
 * It applies to the instance that registers it and all below, as plugins made with fastify-plugin do.
 */
export const fastifyMesh: FastifyPluginCallback<FastifyMeshOptions> = Object.assign(plugin, {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "tulle",
  [Symbol.for("plugin-meta")]: { name: "tulle", fastify: "5.x" },
});
