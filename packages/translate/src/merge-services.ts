import { namespaceOf, type ServiceKey, type ServicePolicy, serviceKey } from "@tulle/policy";
import type { TranslatedPolicy } from "./translator.ts";

/**
 * Makes one Service policy of all that documents say of one service. A whole policy, as of a Kubernetes Service, goes before
 * parts of one, such as a BackendTLSPolicy's, whose fields are laid over it; of a field that several parts set, the first counts.
 * Parts of which no whole is there are laid over what holds already.
 *
 * @param existing Service policies that hold already.
 */
export const mergeServices = (
  policies: readonly TranslatedPolicy[],
  existing: ReadonlyMap<ServiceKey, ServicePolicy>,
): readonly TranslatedPolicy[] => {
  const merged: TranslatedPolicy[] = [];
  const places = new Map<ServiceKey, number>();
  for (const each of [...policies.filter(({ part }) => part !== true), ...policies.filter(isPart).reverse()]) {
    const { policy, from } = each;
    if (policy.kind !== "Service") {
      merged.push(each);
      continue;
    }
    const key = serviceKey(namespaceOf(policy), policy.name);
    const place = places.get(key);
    const first = place === undefined ? undefined : merged[place];
    if (place === undefined || first?.policy.kind !== "Service") {
      const whole: ServicePolicy = isPart(each) ? { ...existing.get(key), ...policy } : policy;
      places.set(key, merged.push({ policy: whole, from }) - 1);
    } else {
      const both: ServicePolicy = isPart(each)
        ? { ...first.policy, ...policy, ...originOf(first.policy) }
        : { ...policy, ...first.policy };
      merged[place] = { policy: both, from: [...new Set([...first.from, ...from])] };
    }
  }
  return merged;
};

const isPart = ({ part }: TranslatedPolicy): boolean => part === true;

const originOf = ({ origin }: ServicePolicy): Pick<ServicePolicy, "origin"> => (origin === undefined ? {} : { origin });
