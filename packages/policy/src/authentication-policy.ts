import type { JwtRule } from "./jwt-policy.ts";
import type { MtlsMode } from "./mesh-policy.ts";
import type { PolicyMeta } from "./policy-meta.ts";
import type { WorkloadSelector } from "./selector.ts";

/** How callers prove who they are. Known elsewhere as PeerAuthentication and RequestAuthentication. */
export interface AuthenticationPolicy extends PolicyMeta {
  readonly kind: "Authentication";
  /** For `mtls` it selects within its own namespace only, as in Istio. @default every workload of the namespace */
  readonly selector?: WorkloadSelector;
  readonly mtls?: {
    /** `unset` is the same as leaving it out. @default that of the namespace, the root namespace, the mesh; "strict" */
    readonly mode?: MtlsMode | "unset";
    /**
     * Modes of single ports, by the port that the instance listens on. Only with a selector (Istio). `unset` is the
     * workload's mode.
     */
    readonly ports?: Readonly<Record<string, MtlsMode | "unset">>;
  };
  /** Which tokens of end users are believed. Rules of several policies for one service count together. @default none are looked at */
  readonly jwt?: readonly JwtRule[];
}
