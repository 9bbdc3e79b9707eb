import {
  type EffectiveConnectionPool,
  type EffectiveOutsideTls,
  type Endpoint,
  effectiveHealthCheck,
  effectiveOutlierDetection,
  effectiveOutsideTls,
  effectiveStaleAfterMs,
  type ServicePolicy,
  type ServiceSnapshot,
  serviceAccountsOf,
  splitServiceKey,
} from "@tulle/policy";
import type { Timer } from "@tulle/time";
import { checkEndpoint } from "../health/check-endpoint.ts";
import { type HealthChange, HealthChecker } from "../health/health-checker.ts";
import type { ServiceConnections } from "../transport/destination-usage.ts";
import { EndpointPool, type EndpointProtocol } from "../transport/endpoint-pool.ts";
import type { ExpectedPeer } from "../transport/mutual-tls.ts";
import type { Transport } from "../transport/transport.ts";
import { NewEndpointConnects } from "./connect-new-endpoints.ts";
import { degradedForMs } from "./degraded-hint.ts";
import { type EndpointFigures, newFigures } from "./endpoint-figures.ts";
import { noteUnreachable } from "./probation.ts";

/** An endpoint that may be picked, with what is known of it and the way to it. */
export interface Candidate {
  readonly endpoint: Endpoint;
  readonly figures: EndpointFigures;
  readonly pool: EndpointPool;
}

/** The endpoints of one service as this client sees them. */
export interface EndpointSet {
  /** Takes over the registry's list. Figures and connections of endpoints that stay at their address are kept. */
  update(service: ServiceSnapshot, pool: EffectiveConnectionPool): void;
  /**
   * The endpoints that carry all these labels and may be called: healthy and stale ones; draining and unhealthy ones are
   * left out. Those that only say themselves that they drain are left out while another one is left. The same array until
   * something changes.
   */
  subset(labels: Readonly<Record<string, string>> | undefined): readonly Candidate[];
  /** Every endpoint of the registry's list, for explanations. */
  all(): readonly Candidate[];
  /**
   * An endpoint said in its reply that it drains, before the registry could say so. Its idle connections are closed, and it
   * gets no calls that another endpoint can take, until the registry brings it back from another state, or
   * {@link DRAIN_HINT_MS} have passed. Where it is the only one it is called: it serves or refuses better than nobody.
   */
  markDraining(endpointId: string): void;
  /** Lets what is under way finish within {@link CLOSE_GRACE_MS}, then closes every connection. */
  close(): Promise<void>;
}

/** How long an endpoint's own word that it drains is believed while the registry says it is healthy. */
export const DRAIN_HINT_MS = 60_000;

/** How long exchanges with an endpoint that left the registry may go on: 5 min. */
export const DEPARTED_GRACE_MS = 300_000;

/** How long exchanges may go on when the set is closed. */
export const CLOSE_GRACE_MS = 5_000;

interface Member {
  candidate: Candidate;
  /** Set while the endpoint's own word counts. */
  drainHint: Timer | undefined;
}

/** Who is to answer, and how they prove it. */
interface Peer {
  readonly expected: ExpectedPeer;
  readonly servername: string;
  readonly tls: EffectiveOutsideTls | undefined;
  readonly protocol: EndpointProtocol | undefined;
}

/**
 * Makes an empty set; its pools are opened with the first call to each endpoint.
 *
 * @param onHealth hears of each change by health checks.
 */
export const createEndpointSet = (transport: Transport, onHealth?: (change: HealthChange) => void): EndpointSet =>
  new Endpoints(transport, onHealth);

class Endpoints implements EndpointSet {
  readonly #transport: Transport;
  #members = new Map<string, Member>();
  /** By the identity of the label object, which a compiled policy keeps; cleared by every change. */
  #subsets = new Map<Readonly<Record<string, string>> | undefined, readonly Candidate[]>();
  #all: readonly Candidate[] = [];
  readonly #departing = new Set<EndpointPool>();
  /** `undefined` where the policy asks for no checks. */
  #health: HealthChecker<EndpointPool> | undefined;
  readonly #connections: ServiceConnections = { open: 0, max: Number.POSITIVE_INFINITY };

  readonly #newcomers: NewEndpointConnects;
  readonly #onHealth: ((change: HealthChange) => void) | undefined;

  constructor(transport: Transport, onHealth: ((change: HealthChange) => void) | undefined) {
    this.#transport = transport;
    this.#newcomers = new NewEndpointConnects(transport);
    this.#onHealth = onHealth;
  }

  update(service: ServiceSnapshot, policy: EffectiveConnectionPool): void {
    const { namespace, name } = splitServiceKey(service.key);
    const expected: ExpectedPeer = { namespace, serviceAccounts: serviceAccountsOf(service.policy) };
    const servername = `${name}.${namespace}.svc.cluster.local`;
    const tls = effectiveOutsideTls(service.policy.tls);
    const peer: Peer = { expected, servername, tls, protocol: service.policy.protocol };
    const staleAfterMs = effectiveStaleAfterMs(service.policy);
    const nowMs = this.#transport.clock.now();
    const before = this.#members;
    this.#members = new Map();
    this.#connections.max = policy.maxConnections;
    for (const endpoint of service.endpoints) {
      const known = before.get(endpoint.id);
      const member =
        known !== undefined && sameAddress(known.candidate.endpoint, endpoint)
          ? this.#keep(known, endpoint, peer, policy)
          : this.#add(endpoint, policy, peer, known);
      if (member === known) before.delete(endpoint.id);
      noteStaleness(member.candidate, staleAfterMs, nowMs);
      this.#members.set(endpoint.id, member);
    }
    for (const member of before.values()) this.#depart(member);
    this.#changed();
    this.#check(service.policy);
  }

  subset(labels: Readonly<Record<string, string>> | undefined): readonly Candidate[] {
    this.#health?.noteCall();
    const known = this.#subsets.get(labels);
    if (known !== undefined) return known;
    const callable = [...this.#members.values()].filter(
      ({ candidate: { endpoint } }) => isCallable(endpoint) && carries(endpoint, labels),
    );
    const unhinted = callable.filter(({ drainHint }) => drainHint === undefined);
    const found = (unhinted.length > 0 ? unhinted : callable).map(({ candidate }) => candidate);
    // Policies name few subsets; labels that are made anew for each question must not fill the memory.
    if (this.#subsets.size >= MAX_CACHED_SUBSETS) this.#subsets.clear();
    this.#subsets.set(labels, found);
    return found;
  }

  all(): readonly Candidate[] {
    return this.#all;
  }

  markDraining(endpointId: string): void {
    const member = this.#members.get(endpointId);
    if (member === undefined || member.drainHint !== undefined) return;
    const { home, clock } = this.#transport;
    member.drainHint = home.runInAsyncScope(clock.after, clock, DRAIN_HINT_MS, () => {
      member.drainHint = undefined;
      this.#changed();
    });
    member.candidate.pool.retireConnections();
    this.#changed();
  }

  async close(): Promise<void> {
    const members = [...this.#members.values()];
    this.#members.clear();
    this.#changed();
    this.#health?.close();
    this.#newcomers.close();
    for (const { drainHint } of members) drainHint?.cancel();
    const pools = [...members.map(({ candidate }) => candidate.pool), ...this.#departing];
    await Promise.all(pools.map((pool) => pool.close(CLOSE_GRACE_MS)));
  }

  #keep(
    member: Member,
    endpoint: Endpoint,
    { expected, tls, protocol }: Peer,
    policy: EffectiveConnectionPool,
  ): Member {
    const { endpoint: last, figures, pool } = member.candidate;
    pool.expect(expected);
    pool.reconfigure(policy, tls, protocol);
    if (endpoint === last) return member;
    if (!isCallable(endpoint)) {
      this.#newcomers.forget(pool);
      pool.retireConnections();
    }
    if (!isCallable(last) || !isCallable(endpoint)) {
      member.drainHint?.cancel();
      member.drainHint = undefined;
    }
    // Whoever comes back is measured anew: what was learned of it in trouble says nothing of it now.
    const cameBack = !isCallable(last) && isCallable(endpoint);
    if (cameBack && policy.connectNewEndpoints) this.#newcomers.add(pool);
    member.candidate = { endpoint, figures: cameBack ? newFigures(this.#transport.clock.now()) : figures, pool };
    return member;
  }

  #add(
    endpoint: Endpoint,
    policy: EffectiveConnectionPool,
    { expected, servername, tls, protocol }: Peer,
    known: Member | undefined,
  ): Member {
    const pool = new EndpointPool(
      {
        endpoint,
        policy,
        connections: this.#connections,
        expected,
        servername,
        tls,
        protocol,
        onDrainHint: () => this.markDraining(endpoint.id),
        onDegradedHint: (value) => this.#markDegraded(endpoint.id, value),
        onSilent: () => this.#markSilent(endpoint.id),
      },
      this.#transport,
    );
    if (policy.connectNewEndpoints && isCallable(endpoint)) this.#newcomers.add(pool);
    const figures =
      known !== undefined && sameAddress(known.candidate.endpoint, endpoint)
        ? known.candidate.figures
        : newFigures(this.#transport.clock.now());
    return { candidate: { endpoint, figures, pool }, drainHint: undefined };
  }

  /** Endpoints that drain or are unhealthy to the registry get no calls, and need no checks. */
  #check(policy: ServicePolicy): void {
    const check = effectiveHealthCheck(policy);
    if (check === undefined && this.#health === undefined) return;
    const { clock, random, counters, checkSlots, home } = this.#transport;
    const detached = (work: () => void): void => home.runInAsyncScope(work);
    const onChange = this.#onHealth;
    const slots = checkSlots;
    this.#health ??= new HealthChecker({ clock, random, counters, slots, probe: checkEndpoint, detached, onChange });
    const unejects = effectiveOutlierDetection(policy)?.healthCheckUnejects ?? false;
    const order = check && { policy: check, unejects };
    this.#health.update(
      order,
      this.#all.filter(({ endpoint }) => isCallable(endpoint)),
    );
    if (check === undefined) this.#health = undefined;
  }

  /** Nobody's call has to find out once more. */
  #markSilent(endpointId: string): void {
    const reach = this.#members.get(endpointId)?.candidate.figures.reach;
    if (reach !== undefined) noteUnreachable(reach, this.#transport.clock.now(), this.#transport.random);
  }

  #markDegraded(endpointId: string, value: string): void {
    const figures = this.#members.get(endpointId)?.candidate.figures;
    if (figures === undefined) return;
    this.#transport.counters.degradedHints++;
    figures.degradedUntilMs = this.#transport.clock.now() + degradedForMs(value);
  }

  #depart(member: Member): void {
    member.drainHint?.cancel();
    const { pool } = member.candidate;
    this.#newcomers.forget(pool);
    this.#departing.add(pool);
    void pool.close(DEPARTED_GRACE_MS).finally(() => this.#departing.delete(pool));
  }

  #changed(): void {
    this.#subsets.clear();
    this.#all = [...this.#members.values()].map(({ candidate }) => candidate);
  }
}

/** An endpoint of which the registry has heard again is as any other. */
const noteStaleness = ({ endpoint, figures }: Candidate, staleAfterMs: number, nowMs: number): void => {
  figures.staleSinceMs = endpoint.health === "stale" ? (figures.staleSinceMs ?? nowMs) : undefined;
  figures.expiresAtMs = (figures.staleSinceMs ?? Number.POSITIVE_INFINITY) + staleAfterMs;
};

const MAX_CACHED_SUBSETS = 100;

const isCallable = (endpoint: Endpoint): boolean => endpoint.health === "healthy" || endpoint.health === "stale";

const sameAddress = (one: Endpoint, other: Endpoint): boolean =>
  one.address === other.address &&
  one.port === other.port &&
  one.transport === other.transport &&
  one.servername === other.servername;

/** Whether an endpoint is of a subset. */
export const carries = (endpoint: Endpoint, labels: Readonly<Record<string, string>> | undefined): boolean =>
  labels === undefined || Object.entries(labels).every(([name, value]) => endpoint.labels[name] === value);
