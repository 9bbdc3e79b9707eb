import { isIP } from "node:net";
import type { Clock } from "@tulle/time";
import { errorCodeOf } from "../transport/error-code.ts";
import type { DnsRecord, DnsResolver, IpFamily } from "./dns-resolver.ts";

/** Shortest time an answer counts, whatever its TTL says: 1 s, so that a TTL of 0 is no question per call. */
export const SHORTEST_TTL_MS = 1_000;

/** Longest time an answer counts: 5 min, so that a move is noticed on the same day. */
export const LONGEST_TTL_MS = 300_000;

/** How long an answer counts that has no TTL, such as one of the hosts file: 5 s (Envoy's `dns_refresh_rate`). */
export const TTL_WITHOUT_MS = 5_000;

/** How long IPv6 may come after IPv4: 50 ms (RFC 8305, resolution delay). A server that drops AAAA delays nobody. */
export const RESOLUTION_DELAY_MS = 50;

/** Addresses of one name that are used; the rest of a longer answer is left. */
export const MAX_ADDRESSES = 100;

/** What a name means now. */
export interface DnsAnswer {
  /** IPv4 before IPv6, each in order, so that an equal answer is an equal list. */
  readonly addresses: readonly string[];
  /** How long it counts, within the bounds. */
  readonly ttlMs: number;
}

/** No server has such a name, or it has no address: an answer, not a failure of DNS. */
export const isNegative = (error: unknown): boolean => {
  const code = errorCodeOf(error);
  return code === "ENOTFOUND" || code === "ENODATA";
};

/**
 * Asks for all addresses of the first of `names` that has any: A and AAAA records with their TTL, then what the operating
 * system knows besides.
 *
 * @throws the resolver's last error: one that is no "no such name" goes before one that is.
 */
export const askDns = async (names: readonly string[], resolver: DnsResolver, clock: Clock): Promise<DnsAnswer> => {
  let failure: unknown;
  for (const name of names) {
    if (isIP(name) !== 0) return { addresses: [name], ttlMs: LONGEST_TTL_MS };
    try {
      return await askOne(name, resolver, clock);
    } catch (error) {
      if (failure === undefined || isNegative(failure)) failure = error;
    }
  }
  throw failure;
};

const askOne = async (name: string, resolver: DnsResolver, clock: Clock): Promise<DnsAnswer> => {
  const { records, failure } = await recordsOf(name, resolver, clock);
  if (records.length > 0) {
    const ttlMs = Math.min(...records.map((record) => record.ttlMs));
    return {
      addresses: inOrder(records.map(({ address }) => address)),
      ttlMs: Math.min(LONGEST_TTL_MS, Math.max(SHORTEST_TTL_MS, ttlMs)),
    };
  }
  try {
    const addresses = await resolver.lookup(name);
    if (addresses.length > 0) return { addresses: inOrder(addresses), ttlMs: TTL_WITHOUT_MS };
  } catch (error) {
    // The operating system says ENOTFOUND also when no server answered.
    throw failure === undefined || isNegative(failure) ? error : failure;
  }
  throw failure;
};

interface Found {
  readonly records: readonly DnsRecord[];
  readonly failure: unknown;
}

/** Both families at once; the second one is not waited for when the first one is there. */
const recordsOf = async (name: string, resolver: DnsResolver, clock: Clock): Promise<Found> => {
  const ask = (family: IpFamily): Promise<Found> =>
    resolver.resolve(name, family).then(
      (records) => ({ records, failure: undefined }),
      (failure: unknown) => ({ records: [], failure }),
    );
  const families = resolver.families();
  const [v4, v6] = [4 as const, 6 as const].map((family) => (families.includes(family) ? ask(family) : undefined));
  const first = await v4;
  if (v6 === undefined) return first ?? { records: [], failure: undefined };
  const second = first === undefined || first.records.length === 0 ? await v6 : await withinDelay(v6, clock);
  return {
    records: [...(first?.records ?? []), ...(second?.records ?? [])],
    failure:
      [first?.failure, second?.failure].find((each) => each !== undefined && !isNegative(each)) ?? first?.failure,
  };
};

const withinDelay = (found: Promise<Found>, clock: Clock): Promise<Found | undefined> =>
  new Promise((resolve) => {
    const timer = clock.after(RESOLUTION_DELAY_MS, () => resolve(undefined));
    void found.then((each) => {
      timer.cancel();
      resolve(each);
    });
  });

const inOrder = (addresses: readonly string[]): readonly string[] =>
  [...new Set(addresses)].toSorted((a, b) => isIP(a) - isIP(b) || (a < b ? -1 : a > b ? 1 : 0)).slice(0, MAX_ADDRESSES);
