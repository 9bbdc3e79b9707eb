import type { Endpoint } from "@tulle/policy";
import type { Balanced, Picker } from "../balancing/picker.ts";
import { isFailing, stateOf } from "../endpoints/endpoint-state.ts";
import type { Tier } from "./failover-tiers.ts";
import type { TierLoad } from "./priority-load.ts";

/** Endpoints that a strategy does not tell apart. */
export interface Group {
  readonly name: string;
  /** Lower is nearer. */
  readonly order: number;
  /** The locality of all of them, where a strategy groups by it. */
  readonly locality: Endpoint["locality"];
  readonly picker: Picker;
  /** Those that may be called. The same array while they are the same. */
  readonly members: readonly Balanced[];
  /** All of them, also those that may not be called. */
  readonly total: number;
  /** Sum of the weights of all. */
  readonly weight: number;
  /** When they were counted last. */
  healthy: number;
  load: TierLoad;
}

/** A group that gets nothing. */
export const NOTHING: TierLoad = { healthPercent: 0, loadPercent: 0, panics: false };

/** Names that are kept. More come only of a registry whose localities never come back; then all begins anew. */
const MAX_NAMES = 1_000;

/** What a name stands for, whatever list of endpoints is grouped. */
interface Slot {
  readonly name: string;
  readonly order: number;
  readonly locality: Endpoint["locality"];
  readonly picker: Picker;
  members: Balanced[];
  /** The members of the last list. */
  known: readonly Balanced[];
  total: number;
  weight: number;
}

/** What makes {@link LocalityGroups}. */
export interface LocalityGroupsOptions {
  readonly groupOf: (endpoint: Endpoint) => Tier;
  readonly makePicker: () => Picker;
  /** Labels that an endpoint must carry to count. */
  readonly labels: Readonly<Record<string, string>> | undefined;
}

/**
 * Puts endpoints into groups. A push about one endpoint changes one object in a list of thousands: what group an endpoint
 * belongs to is remembered with its object, and groups keep their picker, and while their members stay also their list.
 */
export class LocalityGroups {
  readonly #options: LocalityGroupsOptions;
  #slots = new WeakMap<Endpoint, Slot>();
  readonly #byName = new Map<string, Slot>();

  constructor(options: LocalityGroupsOptions) {
    this.#options = options;
  }

  /** The picker of an endpoint's group, for as long as the endpoint is the same object. */
  pickerOf(endpoint: Endpoint): Picker | undefined {
    return this.#slots.get(endpoint)?.picker;
  }

  /** @returns the groups, the nearest first. */
  group(candidates: readonly Balanced[], registered: readonly Balanced[]): readonly Group[] {
    if (this.#byName.size > MAX_NAMES) this.#forget();
    const { labels } = this.#options;
    // Candidates are those of the registered that may be called, in the same order: one walk finds both.
    let next = 0;
    for (const each of registered) {
      const { endpoint } = each;
      const isMember = candidates[next] === each;
      if (!isMember && !carries(endpoint, labels)) continue;
      const slot = this.#slotOf(endpoint);
      slot.total++;
      slot.weight += endpoint.weight ?? 1;
      if (!isMember) continue;
      next++;
      slot.members.push(each);
    }
    for (; next < candidates.length; next++) {
      const candidate = candidates[next];
      if (candidate !== undefined) this.#slotOf(candidate.endpoint).members.push(candidate);
    }
    const groups: Group[] = [];
    for (const slot of this.#byName.values()) {
      const group = closeSlot(slot);
      if (group.total > 0) groups.push(group);
    }
    return groups.sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
  }

  #slotOf(endpoint: Endpoint): Slot {
    const known = this.#slots.get(endpoint);
    if (known !== undefined) return known;
    const { name, order } = this.#options.groupOf(endpoint);
    let slot = this.#byName.get(name);
    if (slot === undefined) {
      const picker = this.#options.makePicker();
      slot = { name, order, locality: endpoint.locality, picker, members: [], known: [], total: 0, weight: 0 };
      this.#byName.set(name, slot);
    }
    this.#slots.set(endpoint, slot);
    return slot;
  }

  #forget(): void {
    this.#byName.clear();
    this.#slots = new WeakMap();
  }
}

/** Takes what was gathered, and leaves the slot ready for the next list. */
const closeSlot = (slot: Slot): Group => {
  const { name, order, locality, picker, members, total, weight } = slot;
  if (!sameItems(slot.known, members)) slot.known = members;
  slot.members = [];
  slot.total = 0;
  slot.weight = 0;
  return {
    name,
    order,
    locality,
    picker,
    members: slot.known,
    total: Math.max(total, members.length),
    weight,
    healthy: 0,
    load: NOTHING,
  };
};

/** How many members nothing is held against: no failures, no health check. Degraded ones count. */
export const countHealthy = (members: readonly Balanced[], nowMs: number): number => {
  let healthy = 0;
  for (const member of members) {
    const state = stateOf(member, nowMs);
    if (!isFailing(state) && state !== "unreachable") healthy++;
  }
  return healthy;
};

const carries = (endpoint: Endpoint, labels: Readonly<Record<string, string>> | undefined): boolean =>
  labels === undefined || Object.entries(labels).every(([name, value]) => endpoint.labels[name] === value);

const sameItems = <T>(one: readonly T[], other: readonly T[]): boolean =>
  one.length === other.length && one.every((item, place) => item === other[place]);
