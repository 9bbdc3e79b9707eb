import type { AuthorizerPolicy } from "./authorizer-policy.ts";
import type { Duration } from "./duration.ts";
import { DEFAULT_PATH_NORMALIZATION, type PathNormalization } from "./path-normalization.ts";
import type { PolicyMeta } from "./policy-meta.ts";
import type { RetryBudget, RetryPolicy } from "./retry-policy.ts";

/** What happens to a host that the mesh does not own: handed on untouched, or refused. Istio's `outboundTrafficPolicy`. */
export type OutboundMode = "allow-any" | "registry-only";

/** Which transport a listener accepts: only mTLS, both on one port, or only plaintext. Istio's `PeerAuthentication`. */
export type MtlsMode = "strict" | "permissive" | "disable";

/** What holds for the whole mesh; there is at most one, named `mesh`. Known elsewhere as MeshConfig. */
export interface MeshPolicy extends PolicyMeta {
  readonly kind: "Mesh";
  /** @default "cluster.local" */
  readonly trustDomain?: string;
  /**
   * Further names of this trust domain: principals of policies mean them all, and certificates that name one of them are
   * members' own if their chain ends at a root of this mesh. A domain that is federated under such a name is not heard.
   * @default none
   */
  readonly trustDomainAliases?: readonly string[];
  /** The namespace whose policies hold for all namespaces: `Access` and `Authentication`. @default "istio-system" (Istio) */
  readonly rootNamespace?: string;
  /** @default "allow-any" (Istio) */
  readonly outbound?: OutboundMode;
  /** @default "strict" */
  readonly mtls?: MtlsMode;
  /**
   * How paths are brought into the one form that rules compare and handlers see: `none`, `base`, `merge-slashes`,
   * `decode-and-merge-slashes` (Istio's modes), or `strict`. @default "strict"
   */
  readonly pathNormalization?: PathNormalization;
  /**
   * How many proxies stand between the first caller and this mesh and append to `x-forwarded-for`; the remote address is that
   * which the outermost of them saw. Range 0 to 100. Istio's `numTrustedProxies`. @default 0: the connection's own address
   */
  readonly trustedProxies?: number;
  /** Who may be asked by access policies with `action: custom`, by name. @default none */
  readonly authorizers?: Readonly<Record<string, AuthorizerPolicy>>;
  readonly defaults?: {
    /** Until the reply's headers. `"0s"` turns it off. @default "15s" (Envoy, App Mesh) */
    readonly timeout?: Duration;
    /** Limit of one attempt. @default none */
    readonly attemptTimeout?: Duration;
    /** The whole call with its body, streams included. `"0s"` turns it off. @default none (Envoy's `max_stream_duration`) */
    readonly maxDuration?: Duration;
    /** Longest silence in a reply's body. `"0s"` turns it off. @default "5m" (Envoy's stream idle timeout) */
    readonly idleTimeout?: Duration;
    /** Including the TLS handshake. @default "1s" (Linkerd) */
    readonly connectTimeout?: Duration;
    readonly retry?: RetryPolicy;
    readonly retryBudget?: RetryBudget;
  };
  /** Not supported yet: kind `Telemetry` comes later; sampling is the OpenTelemetry SDK's. */
  readonly sampling?: number;
  /** Not supported yet. */
  readonly accessLog?: boolean;
}

/** The trust domain of a mesh that names none (Istio). */
export const DEFAULT_TRUST_DOMAIN = "cluster.local";

/** The trust domain of a mesh. */
export const trustDomainOf = (mesh: MeshPolicy): string => mesh.trustDomain ?? DEFAULT_TRUST_DOMAIN;

/** The root namespace of a mesh that names none (Istio), so that Istio's documents mean the same here. */
export const DEFAULT_ROOT_NAMESPACE = "istio-system";

/** The namespace whose policies hold for all namespaces. */
export const rootNamespaceOf = (mesh: MeshPolicy): string => mesh.rootNamespace ?? DEFAULT_ROOT_NAMESPACE;

/** What happens to hosts that the mesh does not own, where nothing is said (Istio). */
export const DEFAULT_OUTBOUND_MODE: OutboundMode = "allow-any";

/** What happens to hosts that the mesh does not own. */
export const outboundModeOf = (mesh: MeshPolicy): OutboundMode => mesh.outbound ?? DEFAULT_OUTBOUND_MODE;

/** How paths are brought into one form. */
export const pathNormalizationOf = (mesh: MeshPolicy): PathNormalization =>
  mesh.pathNormalization ?? DEFAULT_PATH_NORMALIZATION;

/** Proxies that are trusted where nothing is said. */
export const DEFAULT_TRUSTED_PROXIES = 0;
