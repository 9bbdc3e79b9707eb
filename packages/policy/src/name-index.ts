import { CLUSTER_DOMAIN, type ServiceKey, splitServiceKey } from "./service-name.ts";

/** One service as every member knows it, called or not. */
export interface ServiceNames {
  readonly key: ServiceKey;
  /** Further hosts that the `Service` policy claims. */
  readonly hosts?: readonly string[];
}

/** A service outside the mesh as every member knows it, called or not. */
export interface ExternalNames {
  readonly key: ServiceKey;
  readonly hosts: readonly string[];
  /** Calls to its hosts are handed on untouched. */
  readonly passes?: true;
  /** Its port, where another service has one of its hosts on another port. */
  readonly port?: number;
  /** It begins TLS by itself, told together with `port`. */
  readonly tls?: true;
}

/** Answers which hosts belong to the mesh. Small, whole and local, so that an outside host is never delayed by discovery. */
export interface NameIndex {
  /** False until the first list of names has arrived: then short names are refused rather than looked up in DNS. */
  readonly known: boolean;
  /**
   * The service that a host means, or `undefined` for a host outside the mesh. Host without port, any case.
   *
   * @param port tells services outside apart that share the host; of none that fits the first is meant.
   */
  lookup(host: string, port?: number): ServiceKey | undefined;
  /** Whether a policy says that calls to a host outside the mesh are handed on untouched. Host without port, any case. */
  passes(host: string): boolean;
  /** Names that resemble a host, at most three, for error messages. */
  near(host: string): readonly string[];
  /** Services of the mesh. */
  readonly size: number;
}

/**
 * Builds the index as seen from one namespace: a short name means a service of that namespace.
 *
 * @param names all services of the mesh, or `undefined` while they are not known.
 * @param external all services outside it that policies tell of.
 */
export const buildNameIndex = (
  names: readonly ServiceNames[] | undefined,
  ownNamespace: string,
  external: readonly ExternalNames[] = [],
): NameIndex => {
  const byHost = new Map<string, ServiceKey>();
  const byPort = new Map<string, ServiceKey>();
  const originating: (readonly [string, ServiceKey])[] = [];
  const passing = new Set<string>();
  for (const { key, hosts, passes, port, tls } of external) {
    for (const written of hosts) {
      const host = written.toLowerCase();
      if (passes === true) {
        passing.add(host);
        continue;
      }
      if (port === undefined || !byHost.has(host)) byHost.set(host, key);
      if (port === undefined) continue;
      byPort.set(`${host}:${port}`, key);
      if (tls === true) originating.push([`${host}:80`, key]);
    }
  }
  // A URL of http:// without a port means it too, unless another service has that port.
  for (const [place, key] of originating) {
    const host = place.slice(0, place.lastIndexOf(":"));
    if (!byPort.has(place)) byPort.set(place, byPort.get(`${host}:443`) ?? key);
  }
  for (const { key, hosts } of names ?? []) {
    const { namespace, name } = splitServiceKey(key);
    if (namespace === ownNamespace) byHost.set(name, key);
    byHost.set(`${name}.${namespace}`, key);
    byHost.set(`${name}.${namespace}.svc`, key);
    byHost.set(`${name}.${namespace}.svc.${CLUSTER_DOMAIN}`, key);
    for (const host of hosts ?? []) byHost.set(host.toLowerCase(), key);
  }
  return {
    known: names !== undefined,
    size: names?.length ?? 0,
    passes: (host) => passing.size > 0 && passesBy(passing, withoutRootDot(host.toLowerCase())),
    lookup: (host, port) => {
      const name = withoutRootDot(host.toLowerCase());
      const ofPort = port === undefined || byPort.size === 0 ? undefined : byPort.get(`${name}:${port}`);
      return ofPort ?? byHost.get(host) ?? byHost.get(name);
    },
    near: (host) => nearest(withoutRootDot(host.toLowerCase()), [...byHost.keys()]),
  };
};

/** Whether a host is named, or any name above it with a star. */
const passesBy = (passing: ReadonlySet<string>, host: string): boolean => {
  if (passing.has(host)) return true;
  for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
    if (passing.has(`*${host.slice(dot)}`)) return true;
  }
  return false;
};

const withoutRootDot = (host: string): string => (host.endsWith(".") ? host.slice(0, -1) : host);

const MOST_SUGGESTIONS = 3;

/** The candidates within an edit distance of a third of the word, nearest first. */
export const nearest = (word: string, candidates: readonly string[]): readonly string[] => {
  const limit = Math.max(1, Math.floor(word.length / 3));
  return candidates
    .map((candidate) => ({
      candidate,
      distance: editDistance(word, candidate, limit),
    }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, MOST_SUGGESTIONS)
    .map(({ candidate }) => candidate);
};

const editDistance = (a: string, b: string, limit: number): number => {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution));
    }
    previous = current;
  }
  return previous[b.length] ?? limit + 1;
};
