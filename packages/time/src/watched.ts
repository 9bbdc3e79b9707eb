/** A value that changes: read it now, hear of each next one. Values are immutable and replaced whole. */
export interface Watched<T> {
  readonly current: T;
  /** Calls `listener` after each change, not for the present value. Returns the way to stop listening. */
  subscribe(listener: (value: T) => void): () => void;
}

/** The writing side of a {@link Watched}. */
export class Watchable<T> implements Watched<T> {
  #current: T;
  readonly #listeners = new Set<(value: T) => void>();

  constructor(initial: T) {
    this.#current = initial;
  }

  get current(): T {
    return this.#current;
  }

  /** Replaces the value and tells every listener, in the order in which they subscribed. The same value again is no change. */
  set(value: T): void {
    if (value === this.#current) return;
    this.#current = value;
    for (const listener of [...this.#listeners]) listener(value);
  }

  subscribe(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Forgets all listeners. */
  close(): void {
    this.#listeners.clear();
  }
}

/** A value that never changes, for tests and fixed configuration. */
export const constant = <T>(value: T): Watched<T> => ({
  current: value,
  subscribe: () => () => undefined,
});
