import type { ServicePolicy } from "@tulle/policy";
import type { TranslatedPolicy } from "./translator.ts";

/**
 * Makes one Service policy of all that documents say of one service: what a Kubernetes Service tells of its ports, a
 * BackendTLSPolicy of its certificates. A field that several set is the first one's, so translators stand in the order in
 * which their word counts; the origin is the first one's too.
 */
export const mergeServices = (policies: readonly TranslatedPolicy[]): readonly TranslatedPolicy[] => {
  const merged: TranslatedPolicy[] = [];
  const places = new Map<string, number>();
  for (const each of policies) {
    const { policy, from } = each;
    if (policy.kind !== "Service") {
      merged.push(each);
      continue;
    }
    const key = `${policy.namespace ?? ""}/${policy.name}`;
    const place = places.get(key);
    const first = place === undefined ? undefined : merged[place];
    if (place === undefined || first?.policy.kind !== "Service") {
      places.set(key, merged.push(each) - 1);
    } else {
      const both: ServicePolicy = { ...policy, ...first.policy };
      merged[place] = { policy: both, from: [...new Set([...first.from, ...from])] };
    }
  }
  return merged;
};
