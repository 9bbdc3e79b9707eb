import type { Endpoint, ServiceKey } from "@tulle/policy";
import {
  formatResourceName,
  type PreparedResource,
  prepareResource,
  type ResourceName,
  type Revision,
  sliceEntries,
} from "@tulle/protocol";
import type { EndpointRevision } from "../registry/instance-table.ts";

const NO_ENDPOINTS: readonly Endpoint[] = [];

interface Slices {
  readonly endpoints: readonly Endpoint[];
  readonly resources: readonly PreparedResource[];
}

/**
 * All resources of the endpoints stream at one position. A service's slices are made when the first member asks for them, and
 * taken over by the next snapshot unless they changed.
 */
export class EndpointSnapshot {
  readonly revision: Revision;
  readonly #services: EndpointRevision["services"];
  readonly #slices = new Map<ServiceKey, Slices>();
  readonly #previous = new Map<ResourceName, PreparedResource>();

  constructor({ revision, services }: EndpointRevision, previous?: EndpointSnapshot) {
    this.revision = revision;
    this.#services = services;
    if (previous === undefined) return;
    for (const [service, slices] of previous.#slices) {
      if (slices.endpoints === services.get(service)) this.#slices.set(service, slices);
      else for (const resource of slices.resources) this.#previous.set(resource.name, resource);
    }
  }

  /** The slices of a service; one empty slice for a service without endpoints, which is news too. */
  slicesOf(service: ServiceKey): readonly PreparedResource[] {
    const made = this.#slices.get(service);
    if (made !== undefined) return made.resources;
    const endpoints = this.#services.get(service) ?? NO_ENDPOINTS;
    const resources = [...sliceEntries(endpoints, ({ id }) => id)].map(([leaf, slice]) => {
      const name = formatResourceName({ kind: "endpoints", service, leaf });
      const resource = prepareResource(name, { endpoints: slice });
      const before = this.#previous.get(name);
      return before?.version === resource.version ? before : resource;
    });
    this.#slices.set(service, { endpoints, resources });
    return resources;
  }
}

/** What a member is to hold of the endpoints stream: those of the services it calls. */
export const endpointsFor = (
  snapshot: EndpointSnapshot,
  subscriptions: Iterable<ServiceKey>,
): ReadonlyMap<ResourceName, PreparedResource> => {
  const wanted = new Map<ResourceName, PreparedResource>();
  for (const service of subscriptions) {
    for (const slice of snapshot.slicesOf(service)) wanted.set(slice.name, slice);
  }
  return wanted;
};
