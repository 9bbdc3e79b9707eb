import type { Socket } from "node:net";

/** The sockets of a listener, counted so that a drain knows when the last one is gone. */
export class OpenSockets {
  readonly #sockets = new Set<Socket>();
  readonly #onEmpty = new Set<() => void>();

  get size(): number {
    return this.#sockets.size;
  }

  add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      if (this.#sockets.size > 0) return;
      for (const listener of this.#onEmpty) listener();
    });
  }

  /** Calls `listener` each time the last socket closes. Returns the way to stop. */
  onEmpty(listener: () => void): () => void {
    this.#onEmpty.add(listener);
    return () => {
      this.#onEmpty.delete(listener);
    };
  }

  /** Cuts all of them; resolves when the last one is gone. */
  destroyAll(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#sockets.size === 0) {
        resolve();
        return;
      }
      const stop = this.onEmpty(() => {
        stop();
        resolve();
      });
      for (const socket of this.#sockets) socket.destroy();
    });
  }
}
