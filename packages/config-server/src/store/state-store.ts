/** A value in the store with the version that a later compare-and-set names. */
export interface StoreEntry {
  readonly key: string;
  readonly value: string;
  /** Counts up with each write anywhere in the store; never 0. */
  readonly version: number;
}

/** A condition of a commit: the key has this version, or does not exist (`0`). */
export interface StoreCheck {
  readonly key: string;
  readonly version: number;
}

/** A write of a commit; `null` deletes. */
export interface StoreWrite {
  readonly key: string;
  readonly value: string | null;
}

/** A change that a watcher hears of. */
export interface StoreEvent {
  readonly key: string;
  /** `undefined` when it was deleted. */
  readonly entry: StoreEntry | undefined;
}

/** Most operations of one commit, and most bytes of its values: what every engine can take in one transaction. */
export const MAX_COMMIT_OPERATIONS = 100;
export const MAX_COMMIT_BYTES = 1_048_576;

/**
 * Where a config-server keeps its state. Small on purpose: what SQLite, etcd and PostgreSQL have in common. Every engine
 * passes `state-store.contract.ts`.
 */
export interface StateStore {
  get(key: string): Promise<StoreEntry | undefined>;
  /** All entries whose key begins with `prefix`, in the order of their keys. */
  list(prefix: string): Promise<readonly StoreEntry[]>;
  /**
   * Writes all or nothing: only when every check holds. Never larger than {@link MAX_COMMIT_OPERATIONS} and {@link MAX_COMMIT_BYTES}.
   *
   * @returns whether it was written.
   */
  commit(checks: readonly StoreCheck[], writes: readonly StoreWrite[]): Promise<boolean>;
  /** Tells of every later change below `prefix`, in commit order, also of other replicas'. Returns the way to stop. */
  watch(prefix: string, listener: (event: StoreEvent) => void): () => void;
  /**
   * Keeps `key` for as long as the holder lives: it vanishes `ttlMs` after the last `renew`. `undefined` when somebody else holds it.
   */
  lease(key: string, value: string, ttlMs: number): Promise<StoreLease | undefined>;
  close(): Promise<void>;
}

/** A key that lives as long as its holder. */
export interface StoreLease {
  /** @returns false when it was lost. */
  renew(): Promise<boolean>;
  release(): Promise<void>;
}
