import { fastifyMesh as pluginOf } from "@tulle/server/fastify";
import type { FastifyPluginCallback } from "fastify";
import { boundServer } from "./bound-server.ts";
import type { Mesh } from "./mesh.ts";

export type { MeshVisit } from "@tulle/server/fastify";

/** Options of the plugin. */
export interface FastifyMeshOptions {
  readonly mesh: Mesh;
}

/**
 * Plugin for Fastify 5: `fastify.register(fastifyMesh, { mesh })`. Behind `mesh.listen` it informs: `request.mesh` tells the
 * caller and the permit, and telemetry learns the route template. On a listener of the service's own it runs all gates.
 */
export const fastifyMesh: FastifyPluginCallback<FastifyMeshOptions> = (fastify, { mesh }, done) => {
  let server: ReturnType<typeof boundServer>;
  try {
    server = boundServer(mesh);
  } catch (error) {
    // What a plugin with a callback throws would end the process. `boundServer` throws nothing but MeshErrors.
    done(error as Error);
    return;
  }
  pluginOf(fastify, { mesh: server }, done);
};

// Fastify reads a plugin's marks (not encapsulated, its name, its version) from symbols: the wrapper carries the same ones.
for (const mark of Object.getOwnPropertySymbols(pluginOf)) {
  Object.defineProperty(fastifyMesh, mark, { value: Reflect.get(pluginOf, mark) });
}
