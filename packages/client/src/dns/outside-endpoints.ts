import {
  type Endpoint,
  effectiveOutsideTls,
  type OutsideTarget,
  type ServiceSnapshot,
  servicePortOf,
  splitServiceKey,
  targetsOfExternal,
} from "@tulle/policy";
import { type DnsKit, DnsName, type DnsReadiness } from "./dns-name.ts";

/** The label by which the endpoints of a host are told from those of the service's other hosts. */
export const HOST_LABEL = "host";

/** Calls of one service that may wait for DNS at one time. */
export const MAX_DNS_WAITERS = 1_000;

/** Whether the client may have to find a service's endpoints itself. */
export const findsOwnEndpoints = ({ policy, external }: ServiceSnapshot): boolean =>
  external !== undefined || policy.fallback === "dns";

/** A target with what is known of its names; `undefined` for addresses that are taken as they are written. */
interface Place {
  readonly target: OutsideTarget;
  readonly name: DnsName | undefined;
}

const NO_PLACES: readonly Place[] = [];

/**
 * The endpoints of one service that no registry tells: those of a service outside the mesh, and of one inside that asks DNS
 * while nobody is registered. Tells its listener of each change of the list.
 */
export class OutsideEndpoints {
  readonly #kit: DnsKit;
  readonly #found: (endpoints: readonly Endpoint[]) => void;
  readonly #waiting = new Set<() => void>();
  #content = "";
  #places: readonly Place[] = [];
  /** Where the service tells its hosts apart. */
  #byHost: ReadonlyMap<string | undefined, readonly Place[]> = new Map();
  #endpoints: readonly Endpoint[] = [];

  constructor(kit: DnsKit, found: (endpoints: readonly Endpoint[]) => void) {
    this.#kit = kit;
    this.#found = found;
  }

  /** Present endpoints: the registry's where it has any, else those found here. */
  configure(service: ServiceSnapshot): readonly Endpoint[] {
    const targets = targetsOf(service);
    const looksUp = service.external?.resolution !== "static";
    const content = JSON.stringify([targets, looksUp]);
    if (content !== this.#content) {
      this.#content = content;
      const before = new Map(this.#places.map(({ target, name }) => [nameOf(target), name]));
      const named = new Map<string, DnsName>();
      this.#places = targets.map((target) => {
        if (!looksUp) return { target, name: undefined };
        const key = nameOf(target);
        const name = named.get(key) ?? before.get(key) ?? new DnsName(target.names, this.#kit, () => this.#changed());
        named.set(key, name);
        return { target, name };
      });
      this.#byHost = Map.groupBy(this.#places, ({ target }) => target.host);
      for (const [key, name] of before) if (name !== named.get(key)) name?.close();
      this.#endpoints = this.#list();
      this.#release();
    }
    return service.endpoints.length > 0 ? service.endpoints : this.#endpoints;
  }

  /** How things stand for a call to a host, which is noted as a use of its names. "ready" where there is nothing to find. */
  use(host: string, nowMs: number): DnsReadiness {
    let found: DnsReadiness | undefined;
    for (const { name } of this.#placesFor(host)) {
      if (name === undefined) continue;
      const each = name.use(nowMs);
      if (found === undefined || each === "ready" || (each === "waiting" && found === "failed")) found = each;
    }
    return found ?? "ready";
  }

  /** Why there is no address for a host. */
  failure(host: string): unknown {
    return this.#placesFor(host).find(({ name }) => name?.failure !== undefined)?.name?.failure;
  }

  /** Whether any address for a host is known, new or old. */
  knows(host: string): boolean {
    return this.#placesFor(host).some(({ name }) => name?.addresses.length !== 0);
  }

  /** The names that are asked for a host, for error messages. */
  namesFor(host: string): readonly string[] {
    return this.#placesFor(host).flatMap(({ target }) => target.names);
  }

  /** Calls `listener` once when something has changed. `undefined` when too many wait; else the way to stop listening. */
  onChange(listener: () => void): (() => void) | undefined {
    if (this.#waiting.size >= MAX_DNS_WAITERS) return undefined;
    this.#waiting.add(listener);
    return () => void this.#waiting.delete(listener);
  }

  close(): void {
    for (const { name } of this.#places) name?.close();
    this.#places = [];
    this.#byHost = new Map();
    this.#release();
  }

  /** A host's own where hosts are told apart, else those of all. */
  #placesFor(host: string): readonly Place[] {
    return this.#byHost.get(host) ?? this.#byHost.get(undefined) ?? NO_PLACES;
  }

  #changed(): void {
    const before = this.#endpoints;
    this.#endpoints = this.#list();
    if (!sameItems(before, this.#endpoints)) this.#found(this.#endpoints);
    this.#release();
  }

  #release(): void {
    const listeners = [...this.#waiting];
    this.#waiting.clear();
    for (const listener of listeners) listener();
  }

  /** What did not change stays the same object, so that its figures and connections stay. */
  #list(): readonly Endpoint[] {
    const before = new Map(this.#endpoints.map((endpoint) => [endpoint.id, endpoint]));
    const found = new Map<string, Endpoint>();
    for (const { target, name } of this.#places) {
      for (const address of name?.addresses ?? (name === undefined ? target.names : [])) {
        const endpoint = endpointAt(target, address);
        const last = before.get(endpoint.id);
        found.set(endpoint.id, last !== undefined && last.servername === endpoint.servername ? last : endpoint);
      }
    }
    return [...found.values()];
  }
}

const targetsOf = (service: ServiceSnapshot): readonly OutsideTarget[] => {
  const { external, policy, endpoints, key } = service;
  if (external !== undefined) return targetsOfExternal(external);
  if (policy.fallback !== "dns" || endpoints.length > 0) return [];
  const { namespace, name } = splitServiceKey(key);
  const tls = effectiveOutsideTls(policy.tls);
  const [host = name] = policy.hosts ?? [];
  return [
    {
      names: [...(policy.hosts ?? []), `${name}.${namespace}.svc.cluster.local`, name],
      port: servicePortOf(policy),
      servername: tls === undefined ? undefined : (tls.sni ?? host),
      host: undefined,
    },
  ];
};

const nameOf = ({ names }: OutsideTarget): string => names.join(" ");

const endpointAt = (target: OutsideTarget, address: string): Endpoint => {
  const at = `${address.includes(":") ? `[${address}]` : address}:${target.port}`;
  return {
    id: target.host === undefined ? at : `${target.host}/${at}`,
    address,
    port: target.port,
    transport: target.servername === undefined ? "plaintext" : "tls",
    labels: target.host === undefined ? {} : { [HOST_LABEL]: target.host },
    health: "healthy",
    serviceAccount: "",
    ...(target.servername === undefined ? {} : { servername: target.servername }),
  };
};

const sameItems = (a: readonly Endpoint[], b: readonly Endpoint[]): boolean =>
  a.length === b.length && a.every((item, at) => item === b[at]);
