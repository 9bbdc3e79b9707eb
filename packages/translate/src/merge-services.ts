import {
  type MeshPolicy,
  namespaceOf,
  type Policy,
  type ServiceKey,
  type ServicePolicy,
  serviceKey,
} from "@tulle/policy";
import type { TranslatedPolicy } from "./translator.ts";

/**
 * Makes one Service policy of all that documents say of one service. A whole policy, as of a Kubernetes Service, goes before
 * parts of one, such as a BackendTLSPolicy's, whose fields are laid over it; of a field that several parts set, the first counts.
 * Parts of which no whole is there are laid over what holds already. The same goes for the one Mesh policy.
 *
 * @param existing Service policies that hold already.
 * @param existingMesh the Mesh policy that holds already.
 */
export const mergeServices = (
  policies: readonly TranslatedPolicy[],
  existing: ReadonlyMap<ServiceKey, ServicePolicy>,
  existingMesh?: MeshPolicy,
): readonly TranslatedPolicy[] => {
  const merged: TranslatedPolicy[] = [];
  const places = new Map<string, number>();
  for (const each of [...policies.filter(({ part }) => part !== true), ...policies.filter(isPart).reverse()]) {
    const { policy, from } = each;
    if (policy.kind !== "Service" && policy.kind !== "Mesh") {
      merged.push(each);
      continue;
    }
    const service = policy.kind === "Mesh" ? undefined : serviceKey(namespaceOf(policy), policy.name);
    const key = service ?? "Mesh";
    const place = places.get(key);
    const first = place === undefined ? undefined : merged[place];
    if (place === undefined || first?.policy.kind !== policy.kind) {
      const before = service === undefined ? existingMesh : existing.get(service);
      // Policies of one kind, laid one over the other, are one of that kind.
      const whole = (isPart(each) ? { ...before, ...policy } : policy) as typeof policy;
      places.set(key, merged.push({ policy: whole, from }) - 1);
    } else {
      const both = (
        isPart(each) ? { ...first.policy, ...policy, ...originOf(first.policy) } : { ...policy, ...first.policy }
      ) as typeof policy; // as above
      merged[place] = { policy: both, from: [...new Set([...first.from, ...from])] };
    }
  }
  return merged;
};

const isPart = ({ part }: TranslatedPolicy): boolean => part === true;

const originOf = ({ origin }: Policy): Pick<Policy, "origin"> => (origin === undefined ? {} : { origin });
