import type { Socket } from "node:net";
import type { Clock, Timer } from "@tulle/time";
import type { Connection } from "../connection.ts";
import { retireConnection } from "./retire-connection.ts";

interface Stranger {
  readonly connection: Connection;
  timer: Timer | undefined;
}

/** The connections of a mesh port whose peers proved no identity: they end when the port demands one. */
export class StrangerConnections {
  readonly #clock: Clock;
  readonly #onRetired: () => void;
  readonly #open = new Map<Socket, Stranger>();

  constructor(clock: Clock, onRetired: () => void) {
    this.#clock = clock;
    this.#onRetired = onRetired;
  }

  get size(): number {
    return this.#open.size;
  }

  add(socket: Socket, connection: Connection): void {
    const stranger: Stranger = { connection, timer: undefined };
    this.#open.set(socket, stranger);
    socket.once("close", () => {
      stranger.timer?.cancel();
      this.#open.delete(socket);
    });
  }

  /** The exchanges under way are the last ones. */
  retireAll(): void {
    for (const [socket, stranger] of this.#open) {
      if (stranger.connection.retiring) continue;
      this.#onRetired();
      stranger.timer = retireConnection(socket, stranger.connection, this.#clock);
    }
  }

  close(): void {
    for (const { timer } of this.#open.values()) timer?.cancel();
    this.#open.clear();
  }
}
