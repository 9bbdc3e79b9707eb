import type { TrustBundle } from "@tulle/policy";
import {
  canonicalJson,
  contentVersion,
  formatResourceName,
  type PreparedResource,
  prepareResource,
  type ResourceName,
  type Revision,
} from "@tulle/protocol";

/** All resources of the trust stream at one position. Immutable. */
export interface TrustSnapshot {
  readonly revision: Revision;
  readonly resources: ReadonlyMap<ResourceName, PreparedResource>;
}

/**
 * Makes the resources of the trust bundles. The roots are kept with the CA and not in the store, so there is no history to
 * count in: the epoch is the content's own hash, the same after a restart, and another content is another epoch.
 */
export const buildTrustSnapshot = (bundles: readonly TrustBundle[]): TrustSnapshot => {
  const inOrder = bundles.toSorted((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1));
  const resources = inOrder.map((bundle) =>
    prepareResource(formatResourceName({ kind: "bundle", trustDomain: bundle.trustDomain }), bundle),
  );
  return {
    revision: `${contentVersion(canonicalJson(resources.map(({ name, version }) => [name, version])))}.1`,
    resources: new Map(resources.map((resource) => [resource.name, resource])),
  };
};
