import { namespaceOf, type ServiceKey, serviceKey, splitServiceKey } from "@tulle/policy";
import type { PolicyRevision } from "../store/policy-store.ts";
import type { Registration } from "./registration.ts";

interface Selection {
  readonly service: ServiceKey;
  readonly labels: readonly (readonly [string, string])[];
}

/**
 * The services that an instance answers for by its labels, besides the one that it registered for: those of its namespace whose
 * `selector` it fits. Whether its service account may answer for them is asked as for any other instance.
 */
export class SelectedInstances {
  #revision: PolicyRevision | undefined;
  #byNamespace: ReadonlyMap<string, readonly Selection[]> = new Map();

  /** Services of a namespace that select instances by labels. */
  selecting(revision: PolicyRevision, service: ServiceKey): readonly ServiceKey[] {
    return this.#selections(revision, service).map((each) => each.service);
  }

  /** The services that select a registration. */
  servicesOf(revision: PolicyRevision, { service, endpoint }: Registration): readonly ServiceKey[] {
    return this.#selections(revision, service)
      .filter(
        (each) => each.service !== service && each.labels.every(([name, value]) => endpoint.labels[name] === value),
      )
      .map((each) => each.service);
  }

  /** Read once per revision of the policies. */
  #selections(revision: PolicyRevision, service: ServiceKey): readonly Selection[] {
    if (revision !== this.#revision) {
      const found = new Map<string, Selection[]>();
      for (const policy of revision.policies.values()) {
        if (policy.kind !== "Service" || policy.selector === undefined) continue;
        const namespace = namespaceOf(policy);
        const selection = { service: serviceKey(namespace, policy.name), labels: Object.entries(policy.selector) };
        found.set(namespace, [...(found.get(namespace) ?? []), selection]);
      }
      this.#byNamespace = found;
      this.#revision = revision;
    }
    return this.#byNamespace.get(splitServiceKey(service).namespace) ?? [];
  }
}
