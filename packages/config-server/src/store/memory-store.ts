import type { Clock, Timer } from "@tulle/time";
import { checkCommit, checkKey } from "./commit-limits.ts";
import type { StateStore, StoreCheck, StoreEntry, StoreEvent, StoreLease, StoreWrite } from "./state-store.ts";
import { StoreError } from "./store-error.ts";
import { StoreWatchers } from "./store-watchers.ts";

/** A state store that is gone with the process: for tests, and for a mesh that is only tried out. */
export class MemoryStore implements StateStore {
  readonly #clock: Clock;
  readonly #entries = new Map<string, StoreEntry>();
  readonly #watchers = new StoreWatchers();
  readonly #leases = new Map<string, Timer>();
  readonly #untold: StoreEvent[] = [];
  #version = 0;
  #telling = false;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get(key: string): Promise<StoreEntry | undefined> {
    this.#open();
    checkKey(key);
    return this.#entries.get(key);
  }

  async list(prefix: string): Promise<readonly StoreEntry[]> {
    this.#open();
    return [...this.#entries.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async commit(checks: readonly StoreCheck[], writes: readonly StoreWrite[]): Promise<boolean> {
    this.#open();
    checkCommit(checks, writes);
    if (checks.some(({ key, version }) => (this.#entries.get(key)?.version ?? 0) !== version)) return false;
    for (const { key, value } of writes) this.#write(key, value);
    this.#tell();
    return true;
  }

  watch(prefix: string, listener: (event: StoreEvent) => void): () => void {
    this.#open();
    return this.#watchers.add(prefix, listener);
  }

  async lease(key: string, value: string, ttlMs: number): Promise<StoreLease | undefined> {
    this.#open();
    checkCommit([], [{ key, value }]);
    if (this.#entries.has(key)) return undefined;
    const { version } = this.#write(key, value);
    const held = () => this.#entries.get(key)?.version === version;
    const end = () => {
      if (!held()) return;
      this.#write(key, null);
      this.#tell();
    };
    const extend = () => {
      this.#leases.get(key)?.cancel();
      this.#leases.set(key, this.#clock.after(ttlMs, end));
    };
    extend();
    this.#tell();
    return {
      renew: async () => {
        if (this.#closed || !held()) return false;
        extend();
        return true;
      },
      release: async () => end(),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watchers.clear();
    for (const timer of this.#leases.values()) timer.cancel();
    this.#leases.clear();
  }

  #write(key: string, value: string | null): StoreEntry {
    this.#leases.get(key)?.cancel();
    this.#leases.delete(key);
    const entry = { key, value: value ?? "", version: ++this.#version };
    if (value !== null) {
      this.#entries.set(key, entry);
      this.#untold.push({ key, entry });
    } else if (this.#entries.delete(key)) {
      this.#untold.push({ key, entry: undefined });
    }
    return entry;
  }

  /** A listener may commit in turn: what it writes is told after what it was told of. */
  #tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    try {
      for (let event = this.#untold.shift(); event !== undefined; event = this.#untold.shift()) {
        this.#watchers.tell(event);
      }
    } finally {
      this.#telling = false;
    }
  }

  #open(): void {
    if (this.#closed) throw new StoreError("closed", "the state store is closed");
  }
}
