import { lookup, Resolver } from "node:dns/promises";
import { networkInterfaces } from "node:os";

/** One address of a name, and how long it holds. */
export interface DnsRecord {
  readonly address: string;
  /** Milliseconds, as the server said. */
  readonly ttlMs: number;
}

/** IP version 4 or 6. */
export type IpFamily = 4 | 6;

/** Where names are asked for. Production hands in the system's, tests a scripted one. */
export interface DnsResolver {
  /** The families that this machine could connect to. */
  families(): readonly IpFamily[];
  /** A or AAAA records. @throws Error with a `code`: ENOTFOUND, ENODATA, ETIMEOUT, ESERVFAIL and the like. */
  resolve(name: string, family: IpFamily): Promise<readonly DnsRecord[]>;
  /** All addresses by the operating system's rules: hosts file, search list. @throws as {@link resolve}. */
  lookup(name: string): Promise<readonly string[]>;
  /** Gives up what is under way. */
  close(): void;
}

/** How long one server is waited for, and how many times all are asked. */
const QUERY = { timeout: 2_000, tries: 2 };

/** Asks the name servers of the system. Nothing is loaded or opened before the first question. */
export const systemDnsResolver = (): DnsResolver => {
  let resolver: Resolver | undefined;
  const ask = (): Resolver => {
    resolver ??= new Resolver(QUERY);
    return resolver;
  };
  return {
    families: reachableFamilies,
    resolve: async (name, family) => {
      const records = await (family === 4 ? ask().resolve4(name, { ttl: true }) : ask().resolve6(name, { ttl: true }));
      return records.map(({ address, ttl }) => ({ address, ttlMs: ttl * 1_000 }));
    },
    lookup: async (name) => (await lookup(name, { all: true, order: "verbatim" })).map(({ address }) => address),
    close: () => resolver?.cancel(),
  };
};

/**
 * IPv6 counts only where some interface has an address that leads out, as `getaddrinfo` does it: most containers have none,
 * and each address of a family that cannot be reached would cost calls an attempt.
 */
const reachableFamilies = (): readonly IpFamily[] => {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const leadsOut = addresses.some(
    ({ family, internal, address }) => family === "IPv6" && !internal && !address.toLowerCase().startsWith("fe80:"),
  );
  return leadsOut ? [4, 6] : [4];
};
