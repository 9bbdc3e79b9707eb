import type { AccessPolicy } from "./access-policy.ts";
import type { AuthenticationPolicy } from "./authentication-policy.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ExternalServicePolicy } from "./external-service-policy.ts";
import type { MeshPolicy } from "./mesh-policy.ts";
import type { NameIndex } from "./name-index.ts";
import type { RoutePolicy } from "./route-policy.ts";
import type { ServiceKey } from "./service-name.ts";
import type { ServicePolicy } from "./service-policy.ts";

/**
 * What a member knows of one service that it calls. Parts that did not change keep their object identity from one
 * snapshot to the next, so whoever compiles them can tell by `===` what to build anew.
 */
export interface ServiceSnapshot {
  readonly key: ServiceKey;
  /** Of a service outside the mesh, what `serviceOfExternal` makes of its policy. */
  readonly policy: ServicePolicy;
  /** Set for a service outside the mesh; its addresses are then found by the client. */
  readonly external?: ExternalServicePolicy;
  /** The routes for this service, in the order in which they are tried. */
  readonly routes: readonly RoutePolicy[];
  /** All registered endpoints, replaced whole when one changes. */
  readonly endpoints: readonly Endpoint[];
}

/** All that a member needs to make calls, at one policy revision. Immutable; replaced whole. */
export interface OutboundSnapshot {
  /** `epoch.number` of the policy stream; `static.1` where policies are fixed values. */
  readonly revision: string;
  readonly mesh: MeshPolicy;
  /** Every host name that the mesh owns, also of services this member has not subscribed to. */
  readonly names: NameIndex;
  readonly services: ReadonlyMap<ServiceKey, ServiceSnapshot>;
}

/** All that a member needs to admit calls, at one policy revision. Immutable; replaced whole. */
export interface InboundSnapshot {
  readonly revision: string;
  readonly mesh: MeshPolicy;
  /** The member's own service. */
  readonly service: ServicePolicy;
  /** Access policies that may select an instance of this service, by namespace and name; labels are not looked at yet. */
  readonly access: readonly AccessPolicy[];
  /** Authentication policies of the same kind. */
  readonly authentication: readonly AuthenticationPolicy[];
}
