/** Idle connections of a process that are kept: 1024. Node.js raises its limit of open files to the hard one, often 4096. */
export const DEFAULT_MAX_IDLE_CONNECTIONS = 1_024;

/** A connection that carries nothing. */
export interface IdleConnection {
  /** Ends it; nobody can use it meanwhile. */
  retire(): void;
}

/**
 * Bounds the idle connections of a process, whatever they lead to: one that has called thousands of endpoints must not keep
 * an open file for each. Beyond the bound the one that has been idle for longest is ended; busy ones are not in here.
 */
export class IdleConnections {
  readonly #max: number;
  readonly #onOverflow: () => void;
  /** In the order in which they became idle. */
  readonly #idle = new Set<IdleConnection>();

  constructor(max: number, onOverflow: () => void) {
    this.#max = max;
    this.#onOverflow = onOverflow;
  }

  get size(): number {
    return this.#idle.size;
  }

  /** It carries nothing from now on. */
  add(connection: IdleConnection): void {
    this.#idle.add(connection);
    if (this.#idle.size <= this.#max) return;
    for (const oldest of this.#idle) {
      this.#idle.delete(oldest);
      this.#onOverflow();
      oldest.retire();
      return;
    }
  }

  /** It is in use, or gone. */
  delete(connection: IdleConnection): void {
    this.#idle.delete(connection);
  }
}
