import type {
  EffectiveAdaptiveThrottling,
  EffectiveBalancer,
  EffectiveCircuitBreaker,
  EffectiveConnectionPool,
  EffectiveLocality,
  EffectiveOutlierDetection,
  EffectiveRetryBudget,
  Endpoint,
  ServiceKey,
  ServiceSnapshot,
} from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
import type { CustomBalancers } from "./balancing/custom-balancer.ts";
import { createPicker, type Picker } from "./balancing/picker.ts";
import { type Circuit, createCircuit } from "./breaker/circuit.ts";
import { findsOwnEndpoints, OutsideEndpoints } from "./dns/outside-endpoints.ts";
import { createEndpointSet, type EndpointSet } from "./endpoints/endpoint-set.ts";
import { OutlierDetector } from "./endpoints/outlier-detector.ts";
import type { EjectionDecision } from "./endpoints/outlier-ejection.ts";
import { type Hash64, randomHash } from "./hashing/xxh64.ts";
import type { HealthChange } from "./health/health-checker.ts";
import type { Place } from "./locality/failover-tiers.ts";
import { LocalityPicker } from "./locality/locality-picker.ts";
import { LatencyEstimate } from "./retry/latency-estimate.ts";
import { RetryBudget } from "./retry/retry-budget.ts";
import { AdaptiveThrottle } from "./throttling/adaptive-throttle.ts";
import { DestinationUsage, type UsageLimits } from "./transport/destination-usage.ts";
import type { Transport, TransportCounters } from "./transport/transport.ts";

/** What the ledger is made of. */
export interface LedgerKit {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  /** Balancers of the application's own, by name. */
  readonly balancers?: CustomBalancers | undefined;
  /** Hears what an operator should know. */
  readonly notice?: ((text: string) => void) | undefined;
  /** Where the member is, what it carries, and what it is an instance of. */
  readonly member: Place & { readonly service: ServiceKey };
  /** Hears of each change of a circuit. */
  readonly onCircuit?: ((destination: string, state: Circuit["state"]) => void) | undefined;
  /** Hears of each decision to eject an endpoint or not. */
  readonly onEjection?: ((service: ServiceKey, decision: EjectionDecision) => void) | undefined;
  /** Hears what health checks change of an endpoint. */
  readonly onHealth?: ((service: ServiceKey, change: HealthChange) => void) | undefined;
}

/** How a service finds its endpoints, and what becomes of them. */
interface Outside {
  readonly endpoints: OutsideEndpoints;
  update: (endpoints: readonly Endpoint[]) => void;
}

/** What a picker is told of where its calls go. */
interface PickerPlace {
  /** Of the subset. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** `undefined`: where endpoints are does not matter. */
  readonly locality?: EffectiveLocality | undefined;
}

/** Something made from a policy, kept until the policy's content changes. */
interface Kept<T> {
  readonly policy: string;
  readonly value: T;
}

/**
 * State that outlives policy, by name: what was learnt of a service's endpoints, its retry budget, the circuits of its
 * subsets. A new revision of the policy finds it again, so an apply neither closes an open circuit nor forgets latencies.
 */
export class Ledger {
  readonly #kit: LedgerKit;
  readonly #endpoints = new Map<ServiceKey, EndpointSet>();
  readonly #outside = new Map<ServiceKey, Outside>();
  readonly #budgets = new Map<string, RetryBudget>();
  readonly #latencies = new Map<string, LatencyEstimate>();
  /** By name and policy: one that no chain in force asks any more ends, and not before. */
  readonly #circuits = new Map<string, Circuit>();
  readonly #usages = new Map<string, DestinationUsage>();
  readonly #throttles = new Map<string, AdaptiveThrottle>();
  readonly #pickers = new Map<string, Kept<Picker>>();
  /** Drawn when a policy first asks for it, and kept: a new policy leads to the same endpoints. */
  #subsetSeed: Hash64 | undefined;
  readonly #outliers = new Map<string, Kept<OutlierDetector>>();

  constructor(kit: LedgerKit) {
    this.#kit = kit;
  }

  get counters(): TransportCounters {
    return this.#kit.transport.counters;
  }

  endpoints(service: ServiceKey): EndpointSet {
    const known = this.#endpoints.get(service);
    if (known !== undefined) return known;
    const { transport, onHealth } = this.#kit;
    const made = createEndpointSet(transport, onHealth && ((change) => onHealth(service, change)));
    this.#endpoints.set(service, made);
    return made;
  }

  /** Takes over what the snapshot says of a service's endpoints: the registry's, or where to find some. */
  update(service: ServiceSnapshot, pool: EffectiveConnectionPool): void {
    const { key } = service;
    const set = this.endpoints(key);
    if (!findsOwnEndpoints(service)) {
      this.#outside.get(key)?.endpoints.close();
      this.#outside.delete(key);
      set.update(service, pool);
      return;
    }
    const outside = this.#outside.get(key) ?? this.#newOutside(key);
    outside.update = (endpoints) => set.update({ ...service, endpoints }, pool);
    outside.update(outside.endpoints.configure(service));
  }

  /** Finds endpoints that no registry tells; `undefined` for services that have none to find. */
  outside(service: ServiceKey): OutsideEndpoints | undefined {
    return this.#outside.get(service)?.endpoints;
  }

  #newOutside(key: ServiceKey): Outside {
    const { transport, clock, random } = this.#kit;
    const { resolver, counters, home } = transport;
    const outside: Outside = {
      endpoints: new OutsideEndpoints({ resolver, clock, random, counters, home }, (endpoints) =>
        outside.update(endpoints),
      ),
      update: () => undefined,
    };
    this.#outside.set(key, outside);
    return outside;
  }

  /** @param variant what of the service has a budget of its own; `undefined`: all else shares one. */
  retryBudget(service: ServiceKey, variant: string | undefined, policy: EffectiveRetryBudget): RetryBudget {
    const name = destinationName(service, variant);
    const known = this.#budgets.get(name);
    if (known === undefined) {
      const made = new RetryBudget(policy, this.#kit.clock.now());
      this.#budgets.set(name, made);
      return made;
    }
    known.reconfigure(policy);
    return known;
  }

  /** How long a service's subset takes to answer, whatever the policies say. */
  latency(service: ServiceKey, subset: string | undefined): LatencyEstimate {
    const name = destinationName(service, subset);
    const known = this.#latencies.get(name) ?? new LatencyEstimate(this.#kit.clock.now());
    this.#latencies.set(name, known);
    return known;
  }

  /**
   * A circuit's counts mean nothing under other thresholds, so a changed policy starts a new one; the old one stays with the
   * chains that were made with it until {@link retain}. There are as many as destinations, or as ways of rules to them.
   *
   * @param owner whose circuit it is, where it is a rule's or that of copies; `undefined`: all calls to the destination share it.
   */
  circuit(
    service: ServiceKey,
    subset: string | undefined,
    owner: string | undefined,
    policy: EffectiveCircuitBreaker,
  ): Circuit {
    const destination = destinationName(service, subset);
    const name = owner === undefined ? destination : `${destination}, ${owner}`;
    const key = `${name} ${JSON.stringify(policy)}`;
    const known = this.#circuits.get(key);
    if (known !== undefined) return known;
    const { clock, onCircuit } = this.#kit;
    const made = createCircuit({
      name,
      policy,
      clock,
      ...(onCircuit === undefined ? {} : { onChange: (state) => onCircuit(name, state) }),
    });
    this.#circuits.set(key, made);
    return made;
  }

  /** What is under way is never forgotten: a changed policy changes the bounds alone. */
  usage(service: ServiceKey, subset: string | undefined, limits: UsageLimits): DestinationUsage {
    const name = destinationName(service, subset);
    const known = this.#usages.get(name);
    known?.reconfigure(limits);
    if (known !== undefined) return known;
    const made = new DestinationUsage(name, limits);
    this.#usages.set(name, made);
    return made;
  }

  /** What was counted stays when the policy changes. */
  throttle(service: ServiceKey, subset: string | undefined, policy: EffectiveAdaptiveThrottling): AdaptiveThrottle {
    const name = destinationName(service, subset);
    const { clock, random } = this.#kit;
    const known = this.#throttles.get(name);
    known?.reconfigure(policy, clock.now());
    if (known !== undefined) return known;
    const made = new AdaptiveThrottle(policy, random, clock.now());
    this.#throttles.set(name, made);
    return made;
  }

  picker(
    service: ServiceKey,
    subset: string | undefined,
    policy: EffectiveBalancer,
    { labels, locality }: PickerPlace = {},
  ): Picker {
    const { random, balancers, notice, member } = this.#kit;
    const where = destinationName(service, subset);
    const onFault = (problem: string): void => notice?.(`${problem}; chance decides on such calls to ${where}`);
    const subsetSeed = (): Hash64 => {
      this.#subsetSeed ??= randomHash(random);
      return this.#subsetSeed;
    };
    const makePicker = (): Picker => createPicker(policy, { random, balancers, onFault, subsetSeed });
    const make = (): Picker =>
      locality === undefined
        ? makePicker()
        : new LocalityPicker({
            policy: locality,
            place: member,
            makePicker,
            random,
            registered: () => this.#endpoints.get(service)?.all(),
            labels,
            callers: () => this.#endpoints.get(member.service)?.all(),
          });
    const content = locality === undefined ? policy : { policy, locality, labels };
    return keep(this.#pickers, where, content, make, () => undefined);
  }

  /** What is held against endpoints stays theirs when the policy changes. */
  outliers(service: ServiceKey, variant: string | undefined, policy: EffectiveOutlierDetection): OutlierDetector {
    const { clock, random, onEjection } = this.#kit;
    const make = (): OutlierDetector =>
      new OutlierDetector({
        policy,
        all: () => this.endpoints(service).all(),
        random,
        nowMs: clock.now(),
        onDecision: (decision) => onEjection?.(service, decision),
      });
    return keep(this.#outliers, destinationName(service, variant), policy, make, () => undefined);
  }

  /**
   * Ends the state of services that are no longer known, and the circuits that no chain in force asks; calls under way on
   * them come to their end.
   */
  retain(services: ReadonlySet<ServiceKey>, circuits: ReadonlySet<Circuit>): void {
    for (const [key, circuit] of this.#circuits) {
      if (circuits.has(circuit)) continue;
      circuit.close();
      this.#circuits.delete(key);
    }
    for (const [service, endpoints] of this.#endpoints) {
      if (services.has(service)) continue;
      this.#endpoints.delete(service);
      this.#outside.get(service)?.endpoints.close();
      this.#outside.delete(service);
      void endpoints.close();
      for (const name of this.#budgets.keys()) if (isOf(name, service)) this.#budgets.delete(name);
      for (const name of this.#outliers.keys()) if (isOf(name, service)) this.#outliers.delete(name);
      for (const name of this.#usages.keys()) if (isOf(name, service)) this.#usages.delete(name);
      for (const name of this.#throttles.keys()) if (isOf(name, service)) this.#throttles.delete(name);
      for (const name of this.#pickers.keys()) if (isOf(name, service)) this.#pickers.delete(name);
      for (const name of this.#latencies.keys()) if (isOf(name, service)) this.#latencies.delete(name);
    }
  }

  async close(): Promise<void> {
    for (const circuit of this.#circuits.values()) circuit.close();
    this.#circuits.clear();
    this.#throttles.clear();
    for (const { endpoints } of this.#outside.values()) endpoints.close();
    this.#outside.clear();
    this.#kit.transport.resolver.close();
    this.#pickers.clear();
    this.#outliers.clear();
    this.#latencies.clear();
    this.#usages.clear();
    const closing = [...this.#endpoints.values()].map((endpoints) => endpoints.close());
    this.#endpoints.clear();
    await Promise.all(closing);
  }
}

/** How people and telemetry name a service's subset: `default/reviews` or `default/reviews:v1`. */
export const destinationName = (service: ServiceKey, subset: string | undefined): string =>
  subset === undefined ? service : `${service}:${subset}`;

const isOf = (destination: string, service: ServiceKey): boolean =>
  destination === service || destination.startsWith(`${service}:`);

const keep = <T>(
  kept: Map<string, Kept<T>>,
  name: string,
  policy: object,
  make: () => T,
  replace: (old: T) => void,
): T => {
  const content = JSON.stringify(policy);
  const known = kept.get(name);
  if (known?.policy === content) return known.value;
  if (known !== undefined) replace(known.value);
  const value = make();
  kept.set(name, { policy: content, value });
  return value;
};
