import type { TrustBundle } from "@tulle/policy";
import {
  canonicalJson,
  contentVersion,
  formatResourceName,
  type PreparedResource,
  prepareResource,
  type ResourceName,
  type Revision,
  sliceEntries,
} from "@tulle/protocol";
import type { Revoked } from "../authority/revocations.ts";

/** All resources of the trust stream at one position. Immutable. */
export interface TrustSnapshot {
  readonly revision: Revision;
  readonly resources: ReadonlyMap<ResourceName, PreparedResource>;
}

/**
 * Makes the resources of the trust bundles. The roots are kept with the CA and not in the store, so there is no history to
 * count in: the epoch is the content's own hash, the same after a restart, and another content is another epoch.
 */
export const buildTrustSnapshot = (
  bundles: readonly TrustBundle[],
  revoked: readonly Revoked[] = [],
): TrustSnapshot => {
  const inOrder = bundles.toSorted((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1));
  const slices = revoked.length === 0 ? [] : [...sliceEntries(revoked, (each) => JSON.stringify(each))];
  const resources = [
    ...inOrder.map((bundle) =>
      prepareResource(formatResourceName({ kind: "bundle", trustDomain: bundle.trustDomain }), bundle),
    ),
    ...slices.map(([leaf, slice]) =>
      prepareResource(formatResourceName({ kind: "revocations", leaf }), { revoked: slice }),
    ),
  ];
  return {
    revision: `${contentVersion(canonicalJson(resources.map(({ name, version }) => [name, version])))}.1`,
    resources: new Map(resources.map((resource) => [resource.name, resource])),
  };
};
