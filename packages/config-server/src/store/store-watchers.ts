import type { StoreEvent } from "./state-store.ts";

/** Who listens below which prefix. */
export class StoreWatchers {
  readonly #watchers = new Set<{ readonly prefix: string; readonly listener: (event: StoreEvent) => void }>();

  get size(): number {
    return this.#watchers.size;
  }

  add(prefix: string, listener: (event: StoreEvent) => void): () => void {
    const watcher = { prefix, listener };
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  tell(event: StoreEvent): void {
    for (const { prefix, listener } of [...this.#watchers]) {
      if (event.key.startsWith(prefix)) listener(event);
    }
  }

  clear(): void {
    this.#watchers.clear();
  }
}
