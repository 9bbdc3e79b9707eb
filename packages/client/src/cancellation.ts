import type { Cancellation } from "./send.ts";

type Listener = (reason: unknown) => void;

/** The cancellation of one call. Most calls have one listener, so the first has a slot of its own. */
export class CallCancellation implements Cancellation {
  cancelled = false;
  reason: unknown = undefined;
  #first: Listener | undefined = undefined;
  #others: Set<Listener> | undefined = undefined;

  cancel(reason: unknown): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.reason = reason;
    const first = this.#first;
    const others = this.#others;
    this.#first = undefined;
    this.#others = undefined;
    first?.(reason);
    if (others !== undefined) for (const listener of others) listener(reason);
  }

  onCancel(listener: Listener): () => void {
    if (this.cancelled) {
      listener(this.reason);
      return nothing;
    }
    if (this.#first === undefined) {
      this.#first = listener;
    } else {
      this.#others ??= new Set();
      this.#others.add(listener);
    }
    return () => {
      if (this.#first === listener) this.#first = undefined;
      else this.#others?.delete(listener);
    };
  }

  /** Listeners that have not been removed: a leak is a number. */
  get listening(): number {
    return (this.#first === undefined ? 0 : 1) + (this.#others?.size ?? 0);
  }
}

const nothing = (): void => undefined;
