import { MeshError, type NameIndex, type ServiceKey, splitServiceKey } from "@tulle/policy";
import type { Subscribe } from "@tulle/protocol";
import { type Clock, whileHeld } from "@tulle/time";
import type { Subscription } from "./subscription.ts";

/** How long a service may take to become known before a call to it fails. */
export const DISCOVERY_TIMEOUT_MS = 2_000;

/** What discovery works with. */
export interface DiscoveryOptions {
  readonly subscription: Subscription;
  readonly clock: Clock;
  /** Tells the config-server, if it is connected; otherwise the next hello does. */
  readonly send: (message: Subscribe) => void;
  /** Never given up. */
  readonly dependencies: readonly ServiceKey[];
}

/** The services that this process calls: subscribed to at their first use, and given up only when they do not exist. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #subscribed: Set<ServiceKey>;
  readonly #waiting = new Map<ServiceKey, Promise<void>>();

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#subscribed = new Set(options.dependencies);
  }

  get subscriptions(): readonly ServiceKey[] {
    return [...this.#subscribed];
  }

  /** See `Agent.discover`. */
  async discover(service: ServiceKey, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { subscription } = this.#options;
    if (!this.#subscribed.has(service)) {
      this.#subscribed.add(service);
      this.#options.send({ type: "subscribe", add: [service], remove: [] });
    }
    if (subscription.covers(service)) return;
    let waiting = this.#waiting.get(service);
    if (waiting === undefined) {
      waiting = whileHeld(this.#wait(service)).finally(() => this.#waiting.delete(service));
      this.#waiting.set(service, waiting);
    }
    await (signal === undefined ? waiting : orAborted(waiting, signal));
  }

  #wait(service: ServiceKey): Promise<void> {
    const { subscription, clock } = this.#options;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        timer.cancel();
        stop();
        act();
      };
      const stop = subscription.commits.subscribe(() => {
        if (subscription.covers(service)) settle(resolve);
      });
      const timer = clock.after(DISCOVERY_TIMEOUT_MS, () => {
        // Its policy came without a word of endpoints: the call will say that there are none.
        if (subscription.outbound.current.services.has(service)) return settle(resolve);
        settle(() => reject(this.#unknown(service)));
      });
    });
  }

  #unknown(service: ServiceKey): MeshError {
    if (!this.#options.dependencies.includes(service) && this.#subscribed.delete(service)) {
      this.#options.send({ type: "subscribe", add: [], remove: [service] });
    }
    const { names } = this.#options.subscription.outbound.current;
    return names.known
      ? new MeshError("UNKNOWN_SERVICE", {
          message: `the service ${service} could not be learned within ${DISCOVERY_TIMEOUT_MS} ms`,
          ...nearHint(names, service),
        })
      : new MeshError("NAMES_UNKNOWN", {
          message: `the service ${service} cannot be told from an outside host: the mesh's names have not come yet`,
          hint: "wait for mesh.ready()",
        });
  }
}

const nearHint = (names: NameIndex, service: ServiceKey): { readonly hint?: string } => {
  const { namespace, name } = splitServiceKey(service);
  if (names.lookup(`${name}.${namespace}`) === service)
    return { hint: "it is in the mesh, but the config-server did not answer" };
  const near = names.near(`${name}.${namespace}`);
  return near.length === 0 ? {} : { hint: `perhaps ${near.join(" or ")} was meant` };
};

const orAborted = (waiting: Promise<void>, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    waiting.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
