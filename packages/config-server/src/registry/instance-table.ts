import { type Endpoint, type ServiceKey, serviceKey } from "@tulle/policy";
import { canonicalJson, type Revision } from "@tulle/protocol";
import { Watchable, type Watched } from "@tulle/time";
import { drawEpoch } from "../store/epoch.ts";
import type { PolicyRevision } from "../store/policy-store.ts";
import type { StateStore, StoreEntry } from "../store/state-store.ts";
import { StoreError } from "../store/store-error.ts";
import { mayAnswerFor, type Registration } from "./registration.ts";
import { SelectedInstances } from "./selected-instances.ts";

/** Changes written by one commit: each is a check and a write, beside those of the head. */
const BATCH = 45;

/** Changes that lost against another writer are decided again, but not for ever. */
const MAX_TRIES = 5;

/** Where the name and the newest position of the endpoints are. */
export const REGISTRY_HEAD = "registry/head";
const PREFIX = "registry/instances/";

/** Names one instance: service and instance id. */
export type InstanceKey = `${ServiceKey}/${string}`;

/** Builds the key of an instance. */
export const instanceKey = (service: ServiceKey, endpointId: string): InstanceKey => `${service}/${endpointId}`;

const serviceOf = (key: InstanceKey): ServiceKey => {
  const [namespace = "", name = ""] = key.split("/", 2);
  return serviceKey(namespace, name);
};

/** All endpoints at one position of the endpoints stream. Immutable; services that did not change keep their arrays. */
export interface EndpointRevision {
  readonly revision: Revision;
  /** Endpoints by service, in the order of their ids. */
  readonly services: ReadonlyMap<ServiceKey, readonly Endpoint[]>;
}

/** What becomes of an instance: the same object for no change, `undefined` to remove it. What it throws, `change` throws. */
export type Decide = (present: Registration | undefined) => Registration | undefined;

interface Change {
  readonly key: InstanceKey;
  readonly decide: Decide;
  readonly settle: (error?: unknown) => void;
}

interface Row {
  readonly registration: Registration;
  readonly version: number;
}

interface Head {
  readonly epoch: string;
  readonly number: number;
  readonly version: number;
}

/**
 * The instances as the store keeps them, and what of them is published. The position counts up in the commit that changes an
 * instance, so it neither goes back nor stands for two contents when the server dies.
 */
export class InstanceTable {
  readonly endpoints: Watched<EndpointRevision>;
  readonly #endpoints: Watchable<EndpointRevision>;
  readonly #store: StateStore;
  readonly #policies: Watched<PolicyRevision>;
  readonly #rows = new Map<InstanceKey, Row>();
  readonly #changes: Change[] = [];
  readonly #selected = new SelectedInstances();
  readonly #unsubscribe: () => void;
  #head: Head;
  /** The policies that said what may be published, when it was last published. */
  #publishedUnder: PolicyRevision | undefined;
  #writing: Promise<void> | undefined;
  #closed = false;

  /** @throws StoreError `corrupt` */
  static async open(store: StateStore, policies: Watched<PolicyRevision>): Promise<InstanceTable> {
    const first = JSON.stringify({ epoch: drawEpoch(), number: 1 });
    await store.commit([{ key: REGISTRY_HEAD, version: 0 }], [{ key: REGISTRY_HEAD, value: first }]);
    const table = new InstanceTable(store, policies, await readHead(store));
    await table.#read();
    table.#endpoints.set({ revision: table.#revision(), services: table.#published(new Map()) });
    return table;
  }

  private constructor(store: StateStore, policies: Watched<PolicyRevision>, head: Head) {
    this.#store = store;
    this.#policies = policies;
    this.#head = head;
    this.#endpoints = new Watchable({ revision: this.#revision(), services: new Map() });
    this.endpoints = this.#endpoints;
    // A policy may name other service accounts than before.
    this.#unsubscribe = policies.subscribe(() => this.#write());
  }

  get size(): number {
    return this.#rows.size;
  }

  get(key: InstanceKey): Registration | undefined {
    return this.#rows.get(key)?.registration;
  }

  /** In the order of services and ids. */
  all(): readonly (readonly [InstanceKey, Registration])[] {
    return [...this.#rows]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { registration }]): readonly [InstanceKey, Registration] => [key, registration]);
  }

  /** Changes one instance; settles when the change is on the disk and published. */
  change(key: InstanceKey, decide: Decide): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new StoreError("closed", "the registry is closed"));
      this.#changes.push({ key, decide, settle: (error) => (error === undefined ? resolve() : reject(error)) });
      this.#write();
    });
  }

  /** What was asked for before is still written. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    await this.#writing;
    this.#endpoints.close();
  }

  /** One writer at a time; whatever comes in while it writes goes with its next commit. */
  #write(): void {
    if (this.#closed || this.#writing !== undefined) return;
    this.#writing = this.#writeAll().finally(() => {
      this.#writing = undefined;
      if (this.#changes.length > 0) this.#write();
    });
  }

  async #writeAll(): Promise<void> {
    do {
      // All that is asked for in this turn of the event loop shares a commit: after an outage everybody comes at once.
      await new Promise((resolve) => setImmediate(resolve));
      const batch = this.#changes.splice(0, BATCH);
      try {
        await this.#writeBatch(batch);
      } catch (error) {
        for (const { settle } of batch) settle(error);
      }
    } while (this.#changes.length > 0);
  }

  async #writeBatch(batch: readonly Change[]): Promise<void> {
    let undecided = batch;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const next = new Map<InstanceKey, Registration | undefined>();
      undecided = undecided.filter((change) => this.#decide(change, next));
      if (await this.#commit(next)) {
        for (const { settle } of undecided) settle();
        return;
      }
      await this.#read();
    }
    throw new StoreError("contended", `other writers of the registry were faster ${MAX_TRIES} times`);
  }

  /** @returns false when the change was refused, and told so. */
  #decide({ key, decide, settle }: Change, next: Map<InstanceKey, Registration | undefined>): boolean {
    const present = next.has(key) ? next.get(key) : this.get(key);
    try {
      const wanted = decide(present);
      if (wanted !== present && canonical(wanted) !== canonical(present)) next.set(key, wanted);
      return true;
    } catch (error) {
      settle(error);
      return false;
    }
  }

  async #commit(next: ReadonlyMap<InstanceKey, Registration | undefined>): Promise<boolean> {
    const policies = this.#policies.current;
    const services = this.#published(next);
    if (next.size === 0 && services === this.#endpoints.current.services) {
      this.#publishedUnder = policies;
      return true;
    }
    const { epoch, version } = this.#head;
    const texts = [...next].map(([key, registration]) => ({
      key: PREFIX + key,
      value: registration === undefined ? null : JSON.stringify(registration),
    }));
    const written = await this.#store.commit(
      [
        { key: REGISTRY_HEAD, version },
        ...[...next.keys()].map((key) => ({ key: PREFIX + key, version: this.#rows.get(key)?.version ?? 0 })),
      ],
      [{ key: REGISTRY_HEAD, value: JSON.stringify({ epoch, number: this.#head.number + 1 }) }, ...texts],
    );
    if (!written) return false;
    this.#head = { epoch, number: this.#head.number + 1, version: (await readHead(this.#store)).version };
    for (const [key, registration] of next) this.#take(key, await this.#store.get(PREFIX + key), registration);
    this.#endpoints.set({ revision: this.#revision(), services });
    this.#publishedUnder = policies;
    return true;
  }

  async #read(): Promise<void> {
    const found = new Map<InstanceKey, StoreEntry>();
    for (const entry of await this.#store.list(PREFIX)) {
      found.set(entry.key.slice(PREFIX.length) as InstanceKey, entry); // only #commit writes below this prefix
    }
    for (const key of [...this.#rows.keys()]) if (!found.has(key)) this.#rows.delete(key);
    for (const [key, entry] of found) this.#take(key, entry, undefined);
    // Another writer may have changed any service.
    this.#publishedUnder = undefined;
    this.#head = await readHead(this.#store);
  }

  /** @param written what we wrote ourselves: it keeps its identity, for arrays are compared by their items'. */
  #take(key: InstanceKey, entry: StoreEntry | undefined, written: Registration | undefined): void {
    if (entry === undefined) {
      this.#rows.delete(key);
    } else if (entry.version !== this.#rows.get(key)?.version) {
      const ours = written !== undefined && JSON.stringify(written) === entry.value;
      this.#rows.set(key, { registration: ours ? written : parse<Registration>(entry), version: entry.version });
    }
  }

  /**
   * What is published once `next` is written: the present map and arrays where nothing differs. Only services of `next`, and
   * those that may select its instances, are looked at, but all of them under a new policy revision.
   */
  #published(next: ReadonlyMap<InstanceKey, Registration | undefined>): ReadonlyMap<ServiceKey, readonly Endpoint[]> {
    const before = this.#endpoints.current.services;
    const policies = this.#policies.current;
    const everything = policies !== this.#publishedUnder;
    const changed = [...next.keys()].map(serviceOf);
    const touched = new Set(
      everything ? before.keys() : [...changed, ...changed.flatMap((each) => this.#selected.selecting(policies, each))],
    );
    if (touched.size === 0 && !everything) return before;
    const found = new Map<ServiceKey, Map<string, Endpoint>>();
    const addTo = (service: ServiceKey, endpoint: Endpoint, selected: boolean): void => {
      if (!everything && !touched.has(service)) return;
      if (!mayAnswerFor(policies, service, endpoint.serviceAccount)) return;
      const endpoints = found.get(service) ?? new Map<string, Endpoint>();
      found.set(service, endpoints);
      // An instance that registered for the service as well is there once, as it registered.
      if (!selected || !endpoints.has(endpoint.id)) endpoints.set(endpoint.id, endpoint);
    };
    const add = (registration: Registration | undefined): void => {
      if (registration === undefined) return;
      addTo(registration.service, registration.endpoint, false);
      for (const service of this.#selected.servicesOf(policies, registration)) {
        addTo(service, registration.endpoint, true);
      }
    };
    for (const [key, { registration }] of this.#rows) if (!next.has(key)) add(registration);
    for (const registration of next.values()) add(registration);
    const services = new Map([...before].filter(([service]) => !touched.has(service)));
    for (const [service, byId] of found) {
      const endpoints = [...byId.values()];
      endpoints.sort((a, b) => (a.id < b.id ? -1 : 1));
      const old = before.get(service);
      services.set(service, old !== undefined && sameItems(old, endpoints) ? old : endpoints);
    }
    const same = services.size === before.size && [...services].every(([key, each]) => before.get(key) === each);
    return same ? before : services;
  }

  #revision(): Revision {
    return `${this.#head.epoch}.${this.#head.number}`;
  }
}

const readHead = async (store: StateStore): Promise<Head> => {
  const entry = await store.get(REGISTRY_HEAD);
  if (entry === undefined)
    throw new StoreError("corrupt", `${REGISTRY_HEAD} is missing: restore the store from a backup`);
  return { ...parse<Omit<Head, "version">>(entry), version: entry.version };
};

const canonical = (registration: Registration | undefined): string =>
  registration === undefined ? "" : canonicalJson(registration);

const sameItems = <T>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length && a.every((each, index) => each === b[index]);

const parse = <T>({ key, value }: StoreEntry): T => {
  try {
    return JSON.parse(value) as T; // only this file writes below its prefix
  } catch (cause) {
    throw new StoreError("corrupt", `${key} is not JSON: restore the store from a backup`, { cause });
  }
};
