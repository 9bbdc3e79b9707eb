import type { Endpoint, ServiceKey } from "@tulle/policy";
import type { EndpointList, Register, Withdraw } from "@tulle/protocol";
import type { Clock, Timer, Watched } from "@tulle/time";
import type { PolicyRevision } from "../store/policy-store.ts";
import type { StateStore } from "../store/state-store.ts";
import { type Decide, type EndpointRevision, type InstanceKey, InstanceTable, instanceKey } from "./instance-table.ts";
import { decideLeases, defaultLeasePolicy, inStartGrace, type LeasePolicy } from "./lease.ts";
import { type Registrant, type Registration, RegistrationRefused, registrationOf } from "./registration.ts";

/** Most instances that one member may register. */
export const MAX_INSTANCES_PER_MEMBER = 64;

/** How often absent instances are looked at. */
const SWEEP_INTERVAL_MS = 1_000;

/** What one connection keeps alive. */
export interface Tenancy {
  /**
   * Makes an instance known, or says again that it is there; settles when it is on the disk and published.
   *
   * @throws RegistrationRefused
   */
  register(request: Pick<Register, "service" | "endpoint">): Promise<void>;
  /** @throws RegistrationRefused when the instance belongs to another identity; a missing one is no error. */
  withdraw(request: Pick<Withdraw, "service" | "endpointId" | "state">): Promise<void>;
  /** The member leaves on purpose: its instances go at once. */
  leave(): Promise<void>;
  /** The connection is gone: its instances have the grace period to come back. */
  end(): void;
}

/** Which instances of which service are there. */
export interface Registry {
  readonly endpoints: Watched<EndpointRevision>;
  /** True while removals are held back after the server's own start. */
  readonly inStartGrace: boolean;
  attach(registrant: Registrant): Tenancy;
  list(): EndpointList;
  counters(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** What a registry is made of. */
export interface RegistryParts {
  readonly store: StateStore;
  readonly clock: Clock;
  /** Says who may answer for which service; an instance whose account is no longer named is not published. */
  readonly policies: Watched<PolicyRevision>;
  readonly leases?: Partial<LeasePolicy>;
}

/**
 * Opens the registry with the instances that the store knows. All of them are absent until their members come back, and none
 * is removed before the grace period after the start is over.
 *
 * @throws StoreError `corrupt`
 */
export const openRegistry = async ({ store, clock, policies, leases }: RegistryParts): Promise<Registry> =>
  new LeasedRegistry(await InstanceTable.open(store, policies), policies, clock, { ...defaultLeasePolicy, ...leases });

/** Whose connection keeps an instance, or since when nobody's does. */
type Presence =
  | { readonly state: "kept"; readonly by: Tenancy }
  | { readonly state: "absent"; readonly sinceMs: number };

class LeasedRegistry implements Registry {
  readonly endpoints: Watched<EndpointRevision>;
  readonly #table: InstanceTable;
  readonly #policies: Watched<PolicyRevision>;
  readonly #clock: Clock;
  readonly #leases: LeasePolicy;
  readonly #startedAtMs: number;
  /** Instances that no connection has kept since the start are absent since then, and not in here. */
  readonly #presences = new Map<InstanceKey, Presence>();
  readonly #keysOf = new Map<Tenancy, Set<InstanceKey>>();
  /** When instances were removed for their silence, within the window of mass removals. */
  readonly #removals = new Map<ServiceKey, readonly number[]>();
  readonly #counters = { registered: 0, refused: 0, withdrawn: 0, expired: 0, staled: 0 };
  #sweep: Timer | undefined;

  constructor(table: InstanceTable, policies: Watched<PolicyRevision>, clock: Clock, leases: LeasePolicy) {
    this.#table = table;
    this.endpoints = table.endpoints;
    this.#policies = policies;
    this.#clock = clock;
    this.#leases = leases;
    this.#startedAtMs = clock.now();
    this.#sweepLater();
  }

  get inStartGrace(): boolean {
    return inStartGrace(this.#leases, this.#startedAtMs, this.#clock.now());
  }

  attach(registrant: Registrant): Tenancy {
    const tenancy: Tenancy = {
      register: async (request) => {
        try {
          await this.#register(tenancy, registrant, request);
          this.#counters.registered++;
        } catch (error) {
          if (error instanceof RegistrationRefused) this.#counters.refused++;
          throw error;
        }
      },
      withdraw: (request) => this.#withdraw(tenancy, registrant, request),
      leave: async () => {
        await Promise.all([...(this.#keysOf.get(tenancy) ?? [])].map((key) => this.#remove(key)));
        this.#end(tenancy);
      },
      end: () => this.#end(tenancy),
    };
    this.#keysOf.set(tenancy, new Set());
    return tenancy;
  }

  list(): EndpointList {
    const services = new Map<ServiceKey, (Endpoint & { readonly owner: string })[]>();
    for (const [, { service, endpoint, owner }] of this.#table.all()) {
      const listed = { ...endpoint, owner };
      const endpoints = services.get(service);
      if (endpoints === undefined) services.set(service, [listed]);
      else endpoints.push(listed);
    }
    return { services: [...services].map(([service, endpoints]) => ({ service, endpoints })) };
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, instances: this.#table.size };
  }

  async close(): Promise<void> {
    this.#sweep?.cancel();
    await this.#table.close();
  }

  async #register(
    tenancy: Tenancy,
    registrant: Registrant,
    request: Pick<Register, "service" | "endpoint">,
  ): Promise<void> {
    const wanted = registrationOf(request, registrant, this.#policies.current);
    const key = instanceKey(wanted.service, wanted.endpoint.id);
    const keys = this.#keysOf.get(tenancy);
    if (keys === undefined) throw new RegistrationRefused("wrong-order", "the connection has ended");
    if (!keys.has(key) && keys.size >= MAX_INSTANCES_PER_MEMBER) {
      throw new RegistrationRefused("too-many", `a member may register ${MAX_INSTANCES_PER_MEMBER} instances at most`);
    }
    const known = keys.has(key);
    keys.add(key);
    try {
      await this.#table.change(key, (present) => {
        refuseOtherOwners(present, registrant);
        return wanted;
      });
    } catch (error) {
      if (!known) keys.delete(key);
      throw error;
    }
    this.#keep(key, tenancy);
  }

  #keep(key: InstanceKey, tenancy: Tenancy): void {
    const before = this.#presences.get(key);
    if (before?.state === "kept" && before.by !== tenancy) this.#keysOf.get(before.by)?.delete(key);
    // The connection may have ended while the store was writing.
    const ended = !this.#keysOf.has(tenancy);
    this.#presences.set(key, ended ? this.#absentFromNow() : { state: "kept", by: tenancy });
  }

  async #withdraw(
    tenancy: Tenancy,
    registrant: Registrant,
    { service, endpointId, state }: Pick<Withdraw, "service" | "endpointId" | "state">,
  ): Promise<void> {
    const key = instanceKey(service, endpointId);
    const decide = state === "gone" ? asGone : asDraining;
    await this.#table.change(key, (present) => {
      refuseOtherOwners(present, registrant);
      return decide(present);
    });
    this.#counters.withdrawn++;
    if (state === "gone") {
      this.#presences.delete(key);
      this.#keysOf.get(tenancy)?.delete(key);
    }
  }

  async #remove(key: InstanceKey): Promise<void> {
    await this.#table.change(key, asGone);
    this.#presences.delete(key);
  }

  #end(tenancy: Tenancy): void {
    const keys = this.#keysOf.get(tenancy);
    this.#keysOf.delete(tenancy);
    for (const key of keys ?? []) {
      const presence = this.#presences.get(key);
      if (presence?.state === "kept" && presence.by === tenancy) this.#presences.set(key, this.#absentFromNow());
    }
  }

  #absentFromNow(): Presence {
    return { state: "absent", sinceMs: this.#clock.now() };
  }

  #absentSinceMs(key: InstanceKey): number | undefined {
    const presence = this.#presences.get(key);
    if (presence === undefined) return this.#startedAtMs;
    return presence.state === "absent" ? presence.sinceMs : undefined;
  }

  #sweepLater(): void {
    this.#sweep = this.#clock.after(SWEEP_INTERVAL_MS, () => {
      if (!this.inStartGrace) this.#removeOverdue();
      this.#sweepLater();
    });
  }

  #removeOverdue(): void {
    for (const [service, rows] of Map.groupBy(this.#table.all(), ([, registration]) => registration.service)) {
      const nowMs = this.#clock.now();
      const leased = rows.map(([key, { endpoint }]) => ({
        id: endpoint.id,
        absentSinceMs: this.#absentSinceMs(key),
        draining: endpoint.health === "draining",
      }));
      const recent = (this.#removals.get(service) ?? []).filter((atMs) => nowMs - atMs < this.#leases.massWindowMs);
      const { remove, stale } = decideLeases(leased, this.#leases, recent.length, this.#startedAtMs, nowMs);
      const silent = leased.filter(({ id, draining }) => !draining && remove.includes(id));
      this.#removals.set(service, [...recent, ...silent.map(() => nowMs)]);
      for (const id of remove) this.#expire(instanceKey(service, id), asGone, "expired");
      for (const id of stale) this.#expire(instanceKey(service, id), asStale, "staled");
    }
    for (const [service, atMs] of this.#removals) if (atMs.length === 0) this.#removals.delete(service);
  }

  #expire(key: InstanceKey, decide: Decide, counter: "expired" | "staled"): void {
    const registration = this.#table.get(key);
    if (decide(registration) === registration) return;
    // It may come back while the change waits for its turn.
    const unlessBack: Decide = (present) => (this.#absentSinceMs(key) === undefined ? present : decide(present));
    this.#table.change(key, unlessBack).then(
      () => {
        this.#counters[counter]++;
        if (this.#table.get(key) === undefined) this.#presences.delete(key);
      },
      () => undefined, // what the store could not write now is due again at the next sweep
    );
  }
}

const refuseOtherOwners = (present: Registration | undefined, { spiffeId }: Registrant): void => {
  if (present === undefined || present.owner === spiffeId) return;
  throw new RegistrationRefused(
    "not-allowed",
    `instance ${present.endpoint.id} of ${present.service} belongs to ${present.owner}: ${spiffeId} needs an id of its own`,
  );
};

const asGone: Decide = () => undefined;

const withHealth = (present: Registration | undefined, health: Endpoint["health"]): Registration | undefined =>
  present === undefined || present.endpoint.health === health
    ? present
    : { ...present, endpoint: { ...present.endpoint, health } };

const asDraining: Decide = (present) => withHealth(present, "draining");

const asStale: Decide = (present) => withHealth(present, "stale");
