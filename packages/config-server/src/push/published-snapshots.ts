import { DEFAULT_TRUST_DOMAIN, type ServiceKey, type TrustBundle } from "@tulle/policy";
import type { PreparedResource, ResourceName, Revision, Stream } from "@tulle/protocol";
import type { Revoked } from "../authority/revocations.ts";
import type { EndpointRevision } from "../registry/instance-table.ts";
import { EndpointSnapshot, endpointsFor } from "../snapshots/endpoint-snapshot.ts";
import { buildPolicySnapshot, type PolicySnapshot, policiesFor } from "../snapshots/policy-snapshot.ts";
import { buildTrustSnapshot, type TrustSnapshot } from "../snapshots/trust-snapshot.ts";
import type { PolicyRevision } from "../store/policy-store.ts";
import type { Published } from "./member-streams.ts";

/** Snapshots of the policy that are kept beside the present one. */
const MAX_EARLIER = 4;

/** What is published now: the three streams' snapshots, each replaced whole. */
export class PublishedSnapshots implements Published {
  readonly #trustDomain: string;
  #policy: PolicySnapshot;
  /** The last ones before it, oldest first, for members that refused what came after. They share most resources. */
  #earlier: readonly PolicySnapshot[] = [];
  #endpoints: EndpointSnapshot;
  #trust: TrustSnapshot;

  /** @param bundles our own first. */
  constructor(
    policy: PolicyRevision,
    endpoints: EndpointRevision,
    bundles: readonly TrustBundle[],
    revoked: readonly Revoked[],
  ) {
    this.#trustDomain = bundles[0]?.trustDomain ?? DEFAULT_TRUST_DOMAIN;
    this.#policy = buildPolicySnapshot(policy, this.#trustDomain);
    this.#endpoints = new EndpointSnapshot(endpoints);
    this.#trust = buildTrustSnapshot(bundles, revoked);
  }

  revision(stream: Stream): Revision {
    if (stream === "policy") return this.#policy.revision;
    return stream === "endpoints" ? this.#endpoints.revision : this.#trust.revision;
  }

  wanted(
    stream: Stream,
    own: ServiceKey,
    subscriptions: Iterable<ServiceKey>,
  ): ReadonlyMap<ResourceName, PreparedResource> {
    if (stream === "policy") return policiesFor(this.#policy, own, subscriptions);
    return stream === "endpoints" ? endpointsFor(this.#endpoints, subscriptions) : this.#trust.resources;
  }

  wantedAt(
    revision: Revision,
    own: ServiceKey,
    subscriptions: Iterable<ServiceKey>,
  ): ReadonlyMap<ResourceName, PreparedResource> | undefined {
    const snapshot = this.#earlier.find((each) => each.revision === revision);
    return snapshot && policiesFor(snapshot, own, subscriptions);
  }

  /** @throws ProtocolError `too-large`; then the last good snapshot stays. */
  takePolicy(revision: PolicyRevision): void {
    if (revision.revision === this.#policy.revision) return;
    const before = this.#policy;
    this.#policy = buildPolicySnapshot(revision, this.#trustDomain, before);
    this.#earlier = [...this.#earlier, before].slice(-MAX_EARLIER);
  }

  takeEndpoints(revision: EndpointRevision): void {
    if (revision.revision !== this.#endpoints.revision)
      this.#endpoints = new EndpointSnapshot(revision, this.#endpoints);
  }

  takeTrust(bundles: readonly TrustBundle[], revoked: readonly Revoked[]): void {
    this.#trust = buildTrustSnapshot(bundles, revoked);
  }
}
