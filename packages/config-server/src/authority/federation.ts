import { X509Certificate } from "node:crypto";
import { isTrustDomain, type TrustBundle } from "@tulle/policy";
import { type Clock, Watchable, type Watched } from "@tulle/time";
import type { StateStore, StoreEntry } from "../store/state-store.ts";
import { BundleRefused, readTrustBundle } from "./trust-bundle-format.ts";

/** The bundles of other meshes, kept in the state store. */
export interface Federation {
  readonly bundles: Watched<readonly TrustBundle[]>;
  /**
   * Trusts another mesh's roots for its own names, in place of what was there for it.
   *
   * @param text PEM, or SPIFFE's JWK set.
   * @throws BundleRefused
   */
  add(trustDomain: string, text: string): Promise<TrustBundle>;
  /** @returns false when there is none. */
  remove(trustDomain: string): Promise<boolean>;
  close(): void;
}

/** What the bundles are kept with. */
export interface FederationOptions {
  readonly store: StateStore;
  readonly clock: Clock;
  /** Our own. */
  readonly trustDomain: string;
  readonly ownRoots: () => readonly string[];
}

/** Meshes that one may be federated with: every member holds the roots of all. */
export const MAX_FEDERATED = 100;

const PREFIX = "federation/";

/** Opens what is federated. */
export const openFederation = async (options: FederationOptions): Promise<Federation> => {
  const { store, clock, trustDomain: own, ownRoots } = options;
  const known = new Map((await store.list(PREFIX)).map((entry) => [entry.key, recordOf(entry)]));
  const bundles = new Watchable<readonly TrustBundle[]>([...known.values()]);
  const take = (key: string, bundle: TrustBundle | undefined): void => {
    if (JSON.stringify(known.get(key)) === JSON.stringify(bundle)) return;
    if (bundle === undefined) known.delete(key);
    else known.set(key, bundle);
    bundles.set([...known.values()]);
  };
  const stop = store.watch(PREFIX, ({ key, entry }) => take(key, entry && recordOf(entry)));

  const check = (bundle: TrustBundle): void => {
    const nowMs = clock.wallNow();
    const certificates = bundle.roots.map((pem) => new X509Certificate(pem));
    if (certificates.every((root) => root.validToDate.getTime() <= nowMs)) {
      throw new BundleRefused("every root of the bundle has expired: ask for a new one");
    }
    const others = [{ trustDomain: own, roots: ownRoots() }, ...known.values()];
    for (const { trustDomain, roots } of others) {
      if (trustDomain === bundle.trustDomain) continue;
      const theirs = roots.map((pem) => new X509Certificate(pem).publicKey);
      if (certificates.some(({ publicKey }) => theirs.some((key) => key.equals(publicKey)))) {
        throw new BundleRefused(
          `a root of the bundle speaks for ${trustDomain} already: one key must not sign for two trust domains`,
        );
      }
    }
  };

  return {
    bundles,
    add: async (trustDomain, text) => {
      if (!isTrustDomain(trustDomain)) throw new BundleRefused(`"${trustDomain}" is no trust domain`);
      if (trustDomain === own) {
        throw new BundleRefused(`${own} is this mesh's own trust domain: its roots come from its own CA`);
      }
      const key = `${PREFIX}${trustDomain}`;
      if (known.size >= MAX_FEDERATED && !known.has(key)) {
        throw new BundleRefused(`${MAX_FEDERATED} trust domains are federated already`);
      }
      const bundle = readTrustBundle(trustDomain, text);
      check(bundle);
      for (;;) {
        const before = await store.get(key);
        const check = { key, version: before?.version ?? 0 };
        if (await store.commit([check], [{ key, value: JSON.stringify(bundle) }])) break;
      }
      take(key, bundle);
      return bundle;
    },
    remove: async (trustDomain) => {
      const key = `${PREFIX}${trustDomain}`;
      for (;;) {
        const entry = await store.get(key);
        if (entry === undefined) return false;
        if (await store.commit([{ key, version: entry.version }], [{ key, value: null }])) break;
      }
      take(key, undefined);
      return true;
    },
    close: () => {
      stop();
      bundles.close();
    },
  };
};

// Only this file writes these records.
const recordOf = ({ value }: StoreEntry): TrustBundle => JSON.parse(value) as TrustBundle;
