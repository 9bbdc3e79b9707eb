import type { ReplySink } from "../reply.ts";

/** A discarded body is read to its end up to this, bytes, since aborting it would cost the connection. */
export const DISCARD_BYTES = 65_536;

/** How long the rest of a discarded body may be silent. */
export const DISCARD_IDLE_MS = 1_000;

/** Where a discarded body goes, up to a bound. */
export class Waste implements ReplySink {
  #left = DISCARD_BYTES;
  readonly #full: () => void;

  constructor(full: () => void) {
    this.#full = full;
  }

  data(chunk: Buffer): boolean {
    this.#left -= chunk.length;
    if (this.#left < 0) this.#full();
    return true;
  }

  end(): void {}

  error(): void {}
}
