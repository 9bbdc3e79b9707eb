import { MeshError, type NameIndex, type ServiceKey, splitServiceKey } from "@tulle/policy";
import type { Subscribe } from "@tulle/protocol";
import { type Clock, whileHeld } from "@tulle/time";
import type { Subscription } from "./subscription.ts";

/** How long a service may take to become known before a call to it fails, where nothing else is said: 2 s. */
export const DISCOVERY_TIMEOUT_MS = 2_000;

/** Calls that may wait for services to become known, at one time. */
export const MAX_DISCOVERY_WAITERS = 1_000;

/** What discovery works with. */
export interface DiscoveryOptions {
  readonly subscription: Subscription;
  readonly clock: Clock;
  /** Tells the config-server, if it is connected; otherwise the next hello does. */
  readonly send: (message: Subscribe) => void;
  /** Never given up. */
  readonly dependencies: readonly ServiceKey[];
  /** @default {@link DISCOVERY_TIMEOUT_MS} */
  readonly timeoutMs?: number | undefined;
}

/** One service that is waited for, by all its callers together. */
interface Search {
  readonly found: Promise<void>;
  /** Ends it at once; for the end of the member. */
  readonly fail: (error: MeshError) => void;
}

/** The services that this process calls: subscribed to at their first use, and given up only when they do not exist. */
export class Discovery {
  readonly counters = {
    /** Services that were asked for. */
    discoveries: 0,
    /** Those of which nothing came in time. */
    discoveriesFailed: 0,
    /** Calls that were refused because too many waited. */
    discoveryOverflows: 0,
  };
  readonly #options: DiscoveryOptions;
  readonly #timeoutMs: number;
  readonly #subscribed: Set<ServiceKey>;
  readonly #searches = new Map<ServiceKey, Search>();
  #waiters = 0;
  #closed = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? DISCOVERY_TIMEOUT_MS;
    this.#subscribed = new Set(options.dependencies);
  }

  get subscriptions(): readonly ServiceKey[] {
    return [...this.#subscribed];
  }

  /** See `Agent.discover`. */
  async discover(service: ServiceKey, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#closed) throw left();
    const { subscription } = this.#options;
    if (subscription.covers(service)) {
      this.#subscribe(service);
      return;
    }
    if (this.#waiters >= MAX_DISCOVERY_WAITERS) {
      this.counters.discoveryOverflows++;
      throw new MeshError("OVERFLOW_PENDING", {
        message: `${MAX_DISCOVERY_WAITERS} calls already wait for services to become known`,
        hint: "name the services that are called in `dependencies`, so that they are known before the first call",
      });
    }
    this.#subscribe(service);
    const { found } = this.#searches.get(service) ?? this.#search(service);
    this.#waiters++;
    try {
      // Each waiting call keeps the process alive; one that was given up does not, while its search comes to its end.
      await whileHeld(signal === undefined ? found : orAborted(found, signal));
    } finally {
      this.#waiters--;
    }
  }

  /** Fails whoever waits. */
  close(): void {
    this.#closed = true;
    for (const { fail } of this.#searches.values()) fail(left());
  }

  #subscribe(service: ServiceKey): void {
    if (this.#subscribed.has(service)) return;
    this.#subscribed.add(service);
    this.#options.send({ type: "subscribe", add: [service], remove: [] });
  }

  #search(service: ServiceKey): Search {
    const { subscription, clock } = this.#options;
    this.counters.discoveries++;
    const { promise: found, resolve, reject } = Promise.withResolvers<void>();
    // Nobody may be left to hear of it.
    found.catch(() => undefined);
    const settle = (act: () => void): void => {
      timer.cancel();
      stop();
      this.#searches.delete(service);
      act();
    };
    const stop = subscription.commits.subscribe(() => {
      if (subscription.covers(service)) settle(resolve);
    });
    const timer = clock.after(this.#timeoutMs, () => {
      // Its policy came without a word of endpoints: the call will say that there are none.
      if (subscription.outbound.current.services.has(service)) return settle(resolve);
      settle(() => reject(this.#unknown(service)));
    });
    const search = { found, fail: (error: MeshError) => settle(() => reject(error)) };
    this.#searches.set(service, search);
    return search;
  }

  #unknown(service: ServiceKey): MeshError {
    this.counters.discoveriesFailed++;
    const { subscription, dependencies } = this.#options;
    const { names } = subscription.outbound.current;
    if (!names.known) {
      this.#giveUp(service, dependencies);
      return new MeshError("NAMES_UNKNOWN", {
        message: `the service ${service} cannot be told from an outside host: the mesh's names have not come yet`,
        hint: "wait for mesh.ready()",
      });
    }
    const { refusal } = subscription;
    const { namespace, name } = splitServiceKey(service);
    const exists = names.lookup(`${name}.${namespace}`) === service;
    // What exists stays subscribed: its policy may come when it has been corrected, or the config-server is back.
    if (!exists) this.#giveUp(service, dependencies);
    const message = `the service ${service} could not be learned within ${this.#timeoutMs} ms`;
    if (refusal !== undefined) {
      const what = refusal.resource === undefined ? "" : ` for ${refusal.resource}`;
      return new MeshError("UNKNOWN_SERVICE", {
        message: `${message}, and this member has refused revision ${refusal.revision} of the policy${what}: ${refusal.reason}`,
        hint: "correct the policy, or bring what it needs to this member",
      });
    }
    return new MeshError("UNKNOWN_SERVICE", { message, ...nearHint(names, `${name}.${namespace}`, exists) });
  }

  #giveUp(service: ServiceKey, dependencies: readonly ServiceKey[]): void {
    if (dependencies.includes(service) || !this.#subscribed.delete(service)) return;
    this.#options.send({ type: "subscribe", add: [], remove: [service] });
  }
}

const left = (): MeshError => new MeshError("MESH_CLOSED", { message: "the mesh was left" });

const nearHint = (names: NameIndex, host: string, exists: boolean): { readonly hint?: string } => {
  if (exists) return { hint: "it is in the mesh, but the config-server did not answer" };
  const near = names.near(host);
  return near.length === 0 ? {} : { hint: `perhaps ${near.join(" or ")} was meant` };
};

const orAborted = (found: Promise<void>, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    found.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
