import type { MtlsMode } from "./mesh-policy.ts";
import type { PolicyMeta } from "./policy-meta.ts";
import type { WorkloadSelector } from "./selector.ts";

/** How callers prove who they are. Known elsewhere as PeerAuthentication and RequestAuthentication. */
export interface AuthenticationPolicy extends PolicyMeta {
  readonly kind: "Authentication";
  /** @default every service of the namespace */
  readonly selector?: WorkloadSelector;
  readonly mtls?: {
    /** @default the mesh's, "strict" */
    readonly mode?: MtlsMode;
    /** Modes of single ports, by the port that the instance listens on. Not supported yet. */
    readonly ports?: Readonly<Record<string, MtlsMode>>;
  };
  /** Not supported yet. */
  readonly jwt?: readonly Readonly<Record<string, unknown>>[];
}
