import type { MeshPolicy } from "../mesh-policy.ts";

/** What a mesh's policy says, without what every one says. */
export type MeshFields = Omit<MeshPolicy, "kind" | "name" | "namespace">;

/** The `Mesh` policy: `mesh({ trustDomain: "prod.example", defaults: { timeout: "5s" } })`. */
export const mesh = (fields: MeshFields = {}): MeshPolicy => ({ kind: "Mesh", name: "mesh", ...fields });
