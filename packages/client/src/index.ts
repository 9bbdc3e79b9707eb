// For users of the mesh.
export { type Client, type ClientOptions, createClient } from "./create-client.ts";
export type { MeshDispatchOptions } from "./faces/dispatcher.ts";
export type { MeshRequest, MeshRequestOptions } from "./faces/request.ts";
export type { CallOptions } from "./send.ts";
