import type {
  AccessPolicy,
  AuthenticationPolicy,
  Endpoint,
  ExternalNames,
  ExternalServicePolicy,
  MeshPolicy,
  RoutePolicy,
  ServiceKey,
  ServiceNames,
  ServicePolicy,
} from "@tulle/policy";

/**
 * Names of resources, by stream:
 *
 * | stream | name | value |
 * |---|---|---|
 * | policy | `mesh` | {@link MeshPolicy} |
 * | policy | `names/<leaf>` | {@link NamesSlice}: a leaf of the trie over all services' keys |
 * | policy | `service/<namespace>/<name>` | {@link ServiceResource}, for subscribers |
 * | policy | `external-names/<leaf>` | {@link ExternalNamesSlice}: a leaf of the trie over the keys of services outside the mesh |
 * | policy | `external/<namespace>/<name>` | {@link ExternalResource}, for subscribers |
 * | policy | `inbound/<namespace>/<name>` | {@link InboundResource}, for members of the service |
 * | endpoints | `endpoints/<namespace>/<name>/<leaf>` | {@link EndpointsSlice}: a leaf of the trie over instance ids |
 * | trust | `bundle/<trust domain>` | {@link BundleResource} |
 * | trust | `revocations/<leaf>` | {@link RevocationsSlice}: a leaf of the trie over what was revoked; none at all while nothing is |
 *
 * A leaf's name is its path of bits from the root, `-` for the root itself: `-`, `0`, `10`, `110`.
 */
export type ResourceName = string;

/** What a stream's resource holds at one version. */
export type ResourceValue =
  | MeshPolicy
  | NamesSlice
  | ExternalNamesSlice
  | ServiceResource
  | ExternalResource
  | InboundResource
  | EndpointsSlice
  | BundleResource
  | RevocationsSlice;

/** A slice of the index of all services. */
export interface NamesSlice {
  readonly names: readonly ServiceNames[];
}

/** A service and the routes for it, one resource so that they change together. */
export interface ServiceResource {
  readonly key: ServiceKey;
  readonly policy: ServicePolicy;
  readonly routes: readonly RoutePolicy[];
}

/** A slice of the index of all services outside the mesh: apart from the mesh's own, so that older members go on without it. */
export interface ExternalNamesSlice {
  readonly names: readonly ExternalNames[];
}

/** A service outside the mesh and the routes for it. */
export interface ExternalResource {
  readonly key: ServiceKey;
  readonly policy: ExternalServicePolicy;
  readonly routes: readonly RoutePolicy[];
}

/** What a service demands of its callers. */
export interface InboundResource {
  readonly service: ServicePolicy;
  readonly access: readonly AccessPolicy[];
  readonly authentication: readonly AuthenticationPolicy[];
}

/** At most 100 endpoints of a service. */
export interface EndpointsSlice {
  readonly endpoints: readonly Endpoint[];
}

/** The roots of one trust domain, PEM, and the CAs that stand between them and its leaves. */
export interface BundleResource {
  readonly trustDomain: string;
  readonly roots: readonly string[];
  readonly intermediates?: readonly string[];
}

/** At most 100 certificates, by serial number (hexadecimal, upper case, no leading zeros), and identities that are refused. */
export interface RevocationsSlice {
  readonly revoked: readonly { readonly serial?: string; readonly spiffeId?: string }[];
}

/**
 * One resource in a part. Exactly one of `value` and `gzip`: large values travel as base64 of the gzip of their JSON, made
 * once per version, to members that said the feature `gzip`.
 */
export interface ResourceUpsert {
  readonly name: ResourceName;
  /** Hash of the content: the first 16 bytes of SHA-256 over the canonical JSON, base64url. */
  readonly version: string;
  readonly value?: ResourceValue;
  readonly gzip?: string;
}
