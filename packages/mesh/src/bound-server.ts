import { MeshError } from "@tulle/policy";
import type { MeshServer } from "@tulle/server";
import type { Mesh } from "./mesh.ts";

/** The receiving side of each mesh. Aside, so that a `Mesh` shows its users nothing that only the adapters need. */
const servers = new WeakMap<Mesh, MeshServer>();

/** Remembers the receiving side of a mesh. */
export const bindServer = (mesh: Mesh, server: MeshServer): void => {
  servers.set(mesh, server);
};

/**
 * The receiving side of a mesh, for the framework adapters.
 *
 * @throws MeshError INVALID_CALL when the object was made neither by `joinMesh` nor by `createMesh` of this package.
 */
export const boundServer = (mesh: Mesh): MeshServer => {
  const server = servers.get(mesh);
  if (server === undefined) {
    throw new MeshError("INVALID_CALL", {
      message: "the adapter was handed something that is not a mesh of this package",
      hint: "pass what joinMesh or createMesh returned, and check that only one copy of tulle is installed",
    });
  }
  return server;
};
