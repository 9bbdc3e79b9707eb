import { isOfTrustDomain, isRevoked, normalSerial } from "@tulle/policy";
import type { RevocationEntry } from "@tulle/protocol";
import { type Clock, type Timer, Watchable, type Watched } from "@tulle/time";
import type { StateStore, StoreEntry } from "../store/state-store.ts";

/** What is to count no longer: one certificate, or whoever shows an identity. */
export type Revoked = { readonly serial: string } | { readonly spiffeId: string };

/** A new revocation. */
export type RevocationOrder = Revoked & {
  readonly reason: string;
  /** When the certificate ends, milliseconds since 1970. @default the longest that one of ours may live */
  readonly untilMs?: number;
};

/** What was revoked, kept in the state store, so that it outlives a restart and replicas agree. */
export interface RevocationList {
  readonly entries: readonly RevocationEntry[];
  /** What members are told: whatever a certificate may still live for. */
  readonly pushed: Watched<readonly Revoked[]>;
  /** @throws TooManyRevocations */
  revoke(order: RevocationOrder): Promise<RevocationEntry>;
  /** @returns false when there is no such entry. */
  restore(name: string): Promise<boolean>;
  /** Whether a certificate, or an identity without one, is refused. */
  refuses(peer: { readonly serial?: string | undefined; readonly spiffeId: string }): boolean;
  close(): void;
}

/** What the list is kept with. */
export interface RevocationListOptions {
  readonly store: StateStore;
  readonly clock: Clock;
  readonly trustDomain: string;
  /** The longest that a certificate of ours may live from now on, milliseconds. */
  readonly longestLeafMs: () => number;
  /** @default {@link MAX_REVOCATIONS} */
  readonly maxEntries?: number;
}

/** Entries at a time: every member holds them. Whoever needs more replaces the root, which revokes everything. */
export const MAX_REVOCATIONS = 10_000;

/** Thrown when {@link MAX_REVOCATIONS} are there. */
export class TooManyRevocations extends Error {
  override readonly name: string = "TooManyRevocations";
}

const PREFIX = "revocations/";

/** The list is looked at this often for entries whose certificates have ended. */
const LOOK_MS = 60_000;

/** Opens the list. */
export const openRevocations = async (options: RevocationListOptions): Promise<RevocationList> => {
  const { store, clock, trustDomain, longestLeafMs, maxEntries = MAX_REVOCATIONS } = options;
  const entries = new Map((await store.list(PREFIX)).map((entry) => [entry.key, recordOf(entry)]));
  let refused = setsOf(entries.values());
  const pushed = new Watchable<readonly Revoked[]>(living(entries.values(), clock.wallNow()));

  const changed = (): void => {
    refused = setsOf(entries.values());
    const next = living(entries.values(), clock.wallNow());
    if (JSON.stringify(next) !== JSON.stringify(pushed.current)) pushed.set(next);
  };
  const take = (key: string, entry: StoreEntry | undefined): void => {
    if (entry === undefined) entries.delete(key);
    else entries.set(key, recordOf(entry));
    changed();
  };
  const stop = store.watch(PREFIX, ({ key, entry }) => take(key, entry));

  let timer: Timer;
  const look = (): void => {
    changed();
    for (const [key, { serial, untilMs }] of entries) {
      // A certificate that has ended needs no list; an identity stays refused until somebody restores it.
      if (serial !== undefined && untilMs !== undefined && untilMs <= clock.wallNow()) void remove(key);
    }
    timer = clock.after(LOOK_MS, look);
  };
  const remove = async (key: string): Promise<boolean> => {
    const entry = await store.get(key);
    if (entry === undefined) return false;
    await store.commit([{ key, version: entry.version }], [{ key, value: null }]);
    take(key, undefined);
    return true;
  };
  timer = clock.after(LOOK_MS, look);

  return {
    get entries() {
      return [...entries.values()];
    },
    pushed,
    revoke: async ({ reason, untilMs, ...order }) => {
      const name = nameOf(order);
      const key = keyOf(name);
      if (entries.size >= maxEntries && !entries.has(key)) {
        throw new TooManyRevocations(
          `${maxEntries} revocations are there already: rotate the root, which ends all certificates of before`,
        );
      }
      const atMs = clock.wallNow();
      const foreign = "spiffeId" in order && !isOfTrustDomain(order.spiffeId, trustDomain);
      const endsMs = untilMs ?? (foreign ? undefined : atMs + longestLeafMs());
      const entry: RevocationEntry = {
        ...("serial" in order ? { serial: name } : { spiffeId: name }),
        reason,
        atMs,
        ...(endsMs === undefined ? {} : { untilMs: endsMs }),
      };
      for (;;) {
        const before = await store.get(key);
        if (await store.commit([{ key, version: before?.version ?? 0 }], [{ key, value: JSON.stringify(entry) }]))
          break;
      }
      entries.set(key, entry);
      changed();
      return entry;
    },
    restore: (name) => remove(keyOf(name.startsWith("spiffe://") ? name : normalSerial(name))),
    refuses: ({ serial = "", spiffeId }) => isRevoked(refused, { serial, spiffeId }),
    close: () => {
      stop();
      timer.cancel();
      pushed.close();
    },
  };
};

const nameOf = (revoked: Revoked): string => ("serial" in revoked ? normalSerial(revoked.serial) : revoked.spiffeId);

const keyOf = (name: string): string => `${PREFIX}${encodeURIComponent(name)}`;

const setsOf = (entries: Iterable<RevocationEntry>) => {
  const all = [...entries];
  return {
    serials: new Set(all.flatMap(({ serial }) => serial ?? [])),
    spiffeIds: new Set(all.flatMap(({ spiffeId }) => spiffeId ?? [])),
  };
};

/** In the order of their names, so that replicas publish the same. */
const living = (entries: Iterable<RevocationEntry>, nowMs: number): readonly Revoked[] =>
  [...entries]
    .filter(({ untilMs }) => untilMs === undefined || untilMs > nowMs)
    .flatMap(({ serial, spiffeId }): readonly Revoked[] =>
      serial !== undefined ? [{ serial }] : spiffeId !== undefined ? [{ spiffeId }] : [],
    )
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));

// Only this file writes these records.
const recordOf = ({ value }: StoreEntry): RevocationEntry => JSON.parse(value) as RevocationEntry;
