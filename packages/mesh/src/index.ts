// For everyone: join, call, listen, explain.
export {
  type Balanced,
  type BalancerKit,
  type CreateBalancer,
  type CustomBalancer,
  type CustomBalancers,
  type Explanation,
  explain,
  type Outcome,
} from "@tulle/client";
export { isMeshError, MeshError, type MeshErrorCode } from "@tulle/policy";
export type { ListenApp, MeshListener } from "@tulle/server";
export { type CreateMeshOptions, createMesh, type FixedMesh, type GivenCredentials } from "./create-mesh.ts";
export type { FixedConfiguration, FixedEndpoint } from "./fixed-snapshot.ts";
export { type JoinMeshOptions, joinMesh, type UnreadyAction } from "./join-mesh.ts";
export type { Mesh, MeshListenOptions, MeshStatus } from "./mesh.ts";
export type { MeshLogger, MeshMode, MeshOptions } from "./mesh-options.ts";
