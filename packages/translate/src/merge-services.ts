import type { Policy, ServicePolicy } from "@tulle/policy";

/**
 * Makes one Service policy of all that documents say of one service: what a Kubernetes Service tells of its ports, a
 * BackendTLSPolicy of its certificates. A field that several set is the first one's, so translators stand in the order in
 * which their word counts; the origin is the first one's too.
 */
export const mergeServices = (policies: readonly Policy[]): readonly Policy[] => {
  const merged: Policy[] = [];
  const places = new Map<string, number>();
  for (const policy of policies) {
    if (policy.kind !== "Service") {
      merged.push(policy);
      continue;
    }
    const key = `${policy.namespace ?? ""}/${policy.name}`;
    const place = places.get(key);
    const first = place === undefined ? undefined : merged[place];
    if (place === undefined || first?.kind !== "Service") {
      places.set(key, merged.push(policy) - 1);
    } else {
      const both: ServicePolicy = { ...policy, ...first };
      merged[place] = both;
    }
  }
  return merged;
};
