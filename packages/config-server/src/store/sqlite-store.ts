import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type Clock, systemClock, type Timer } from "@tulle/time";
import { checkCommit, checkKey } from "./commit-limits.ts";
import type { StateStore, StoreCheck, StoreEntry, StoreEvent, StoreLease, StoreWrite } from "./state-store.ts";
import { StoreError } from "./store-error.ts";
import { StoreWatchers } from "./store-watchers.ts";

/** Raised when an older version of this file could not read what a newer one writes. */
const SCHEMA_VERSION = 1;

/** How long a commit waits for another process that writes to the same file. */
const BUSY_TIMEOUT_MS = 5_000;

/** How often a store that is watched looks for what other processes wrote, and for leases that ended. */
const POLL_INTERVAL_MS = 250;

/** Deleted keys are remembered for this many later writes, so that other processes' watchers hear of them. */
const REMEMBERED_VERSIONS = 100_000;

// A deleted key stays as a row without a value: its version tells watchers when it went.
const SCHEMA = `
  CREATE TABLE entries (
    key TEXT PRIMARY KEY,
    value TEXT,
    version INTEGER NOT NULL,
    expires_at_ms INTEGER
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX entries_by_version ON entries (version);
  CREATE INDEX entries_by_expiry ON entries (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
  CREATE TABLE counter (version INTEGER NOT NULL);
  INSERT INTO counter VALUES (0);
`;

interface Row {
  readonly key: string;
  readonly value: string | null;
  readonly version: number;
}

/**
 * Opens the state of a config-server in one file, made with mode 0600 where it is missing. Every commit is on the disk when its promise settles.
 *
 * Several processes of one machine may share the file; each hears of the others' writes within 250 ms, of the last one where
 * a key was written several times between. Leases end by the wall clock, the only one that processes share.
 *
 * @param file a path, or `":memory:"`.
 * @param clock for leases and polling. @default the system clock
 * @throws StoreError `newer-schema`; what node:sqlite throws when the file is no database or cannot be written.
 */
export const openSqliteStore = (file: string, clock: Clock = systemClock): StateStore => {
  if (file !== ":memory:") {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // SQLite gives its WAL and shared-memory files the mode of the main file, so that one has to exist first.
    closeSync(openSync(file, "a", 0o600));
    chmodSync(file, 0o600);
  }
  // Loaded on use: on Node.js 22 node:sqlite prints an ExperimentalWarning, which only those who use it should see.
  const { DatabaseSync: Database } = process.getBuiltinModule("node:sqlite");
  const database = new Database(file);
  try {
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;`);
    migrate(database, file);
    return new SqliteStore(database, clock);
  } catch (error) {
    database.close();
    throw error;
  }
};

const migrate = (database: DatabaseSync, file: string): void => {
  database.exec("BEGIN IMMEDIATE");
  const { user_version: found } = database.prepare("PRAGMA user_version").get() as { user_version: number }; // a PRAGMA's row has its name
  if (found > SCHEMA_VERSION) {
    throw new StoreError(
      "newer-schema",
      `${file} has schema version ${found}, this config-server knows ${SCHEMA_VERSION}: start the newer version again, or use another file`,
    );
  }
  if (found === 0) database.exec(SCHEMA);
  database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
};

class SqliteStore implements StateStore {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #watchers = new StoreWatchers();
  readonly #statements: Readonly<Record<StatementName, StatementSync>>;
  #poll: Timer | undefined;
  #toldVersion: number;
  #telling = false;
  #closed = false;

  constructor(database: DatabaseSync, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
    this.#statements = prepare(database);
    this.#toldVersion = this.#version();
    this.#statements.forget.run(this.#toldVersion - REMEMBERED_VERSIONS);
  }

  async get(key: string): Promise<StoreEntry | undefined> {
    this.#open();
    checkKey(key);
    this.#endLeases();
    return this.#read(key);
  }

  async list(prefix: string): Promise<readonly StoreEntry[]> {
    this.#open();
    this.#endLeases();
    return rows(this.#statements.list.all(prefix, `${prefix}\x7f`)).flatMap((row) => entryOf(row) ?? []);
  }

  async commit(checks: readonly StoreCheck[], writes: readonly StoreWrite[]): Promise<boolean> {
    this.#open();
    checkCommit(checks, writes);
    this.#endLeases();
    const written = this.#transaction(() => {
      if (checks.some(({ key, version }) => (this.#read(key)?.version ?? 0) !== version)) return false;
      for (const { key, value } of writes) {
        if (value !== null || this.#read(key) !== undefined) this.#write(key, value, null);
      }
      return true;
    });
    this.#tell();
    return written;
  }

  watch(prefix: string, listener: (event: StoreEvent) => void): () => void {
    this.#open();
    if (this.#watchers.size === 0) {
      this.#toldVersion = this.#version();
      this.#pollLater();
    } else {
      this.#tell();
    }
    const stop = this.#watchers.add(prefix, listener);
    return () => {
      stop();
      if (this.#watchers.size === 0) this.#poll?.cancel();
    };
  }

  async lease(key: string, value: string, ttlMs: number): Promise<StoreLease | undefined> {
    this.#open();
    checkCommit([], [{ key, value }]);
    this.#endLeases();
    const expiry = () => Math.ceil(this.#clock.wallNow() + ttlMs);
    const version = this.#transaction(() =>
      this.#read(key) === undefined ? this.#write(key, value, expiry()) : undefined,
    );
    this.#tell();
    if (version === undefined) return undefined;
    return {
      renew: async () => {
        if (this.#closed) return false;
        this.#endLeases();
        return this.#statements.extend.run(expiry(), key, version).changes === 1;
      },
      release: async () => {
        if (!this.#closed) await this.commit([{ key, version }], [{ key, value: null }]);
      },
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#poll?.cancel();
    this.#watchers.clear();
    this.#database.close();
  }

  #read(key: string): StoreEntry | undefined {
    const [row] = rows(this.#statements.get.all(key));
    return row === undefined ? undefined : entryOf(row);
  }

  #write(key: string, value: string | null, expiresAtMs: number | null): number {
    this.#statements.count.run();
    const version = this.#version();
    this.#statements.put.run(key, value, version, expiresAtMs);
    return version;
  }

  #version(): number {
    return (this.#statements.version.get() as { version: number }).version; // the one row of the table counter
  }

  #endLeases(): void {
    const nowMs = Math.floor(this.#clock.wallNow());
    if (this.#statements.expired.all(nowMs).length === 0) return;
    this.#transaction(() => {
      for (const { key } of rows(this.#statements.expired.all(nowMs))) this.#write(key, null, null);
    });
    this.#tell();
  }

  /** Our own writes and those of other processes go one way: whatever has a later version than what was told last. */
  #tell(): void {
    if (this.#telling || this.#watchers.size === 0) return;
    this.#telling = true;
    try {
      for (let found = this.#untold(); found.length > 0; found = this.#untold()) {
        for (const row of found) {
          this.#toldVersion = row.version;
          this.#watchers.tell({ key: row.key, entry: entryOf(row) });
        }
      }
    } finally {
      this.#telling = false;
    }
  }

  #untold(): readonly Row[] {
    return this.#closed ? [] : rows(this.#statements.since.all(this.#toldVersion));
  }

  #pollLater(): void {
    this.#poll = this.#clock.after(POLL_INTERVAL_MS, () => {
      this.#pollLater();
      this.#endLeases();
      this.#tell();
    });
  }

  #transaction<T>(body: () => T): T {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = body();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  #open(): void {
    if (this.#closed) throw new StoreError("closed", "the state store is closed");
  }
}

const queries = {
  get: "SELECT key, value, version FROM entries WHERE key = ?",
  list: "SELECT key, value, version FROM entries WHERE key >= ? AND key < ? AND value IS NOT NULL ORDER BY key",
  since: "SELECT key, value, version FROM entries WHERE version > ? ORDER BY version LIMIT 1000",
  expired: "SELECT key, value, version FROM entries WHERE expires_at_ms <= ?",
  put: "INSERT INTO entries VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version, expires_at_ms = excluded.expires_at_ms",
  extend: "UPDATE entries SET expires_at_ms = ? WHERE key = ? AND version = ?",
  count: "UPDATE counter SET version = version + 1",
  version: "SELECT version FROM counter",
  forget: "DELETE FROM entries WHERE value IS NULL AND version < ?",
} as const;

type StatementName = keyof typeof queries;

const prepare = (database: DatabaseSync): Readonly<Record<StatementName, StatementSync>> => ({
  get: database.prepare(queries.get),
  list: database.prepare(queries.list),
  since: database.prepare(queries.since),
  expired: database.prepare(queries.expired),
  put: database.prepare(queries.put),
  extend: database.prepare(queries.extend),
  count: database.prepare(queries.count),
  version: database.prepare(queries.version),
  forget: database.prepare(queries.forget),
});

// Each of our SELECTs names these three columns, and the schema above gives their types.
const rows = (found: readonly unknown[]): readonly Row[] => found as readonly Row[];

const entryOf = ({ key, value, version }: Row): StoreEntry | undefined =>
  value === null ? undefined : { key, value, version };
