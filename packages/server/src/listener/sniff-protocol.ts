import type { Socket } from "node:net";
import type { Clock } from "@tulle/time";

/** What a connection speaks, by its first byte. */
export type Protocol = "tls" | "plaintext";

/** The record type with which every TLS connection begins: handshake (RFC 8446, 5.1). */
const TLS_HANDSHAKE = 0x16;

/** How long a connection may stay silent, and how many may at once. */
export interface SniffLimits {
  /** @default 10000 */
  readonly deadlineMs?: number;
  /** @default 1024 */
  readonly most?: number;
}

const DEFAULT_DEADLINE_MS = 10_000;
const DEFAULT_MOST = 1_024;

/** Tells TLS from plaintext on one port, without taking anything from the stream. */
export class ProtocolSniffer {
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #most: number;
  readonly #onSilent: () => void;
  #waiting = 0;

  /** @param onSilent hears of each connection that was closed for its silence or beyond the bound. */
  constructor(clock: Clock, onSilent: () => void, limits: SniffLimits = {}) {
    this.#clock = clock;
    this.#onSilent = onSilent;
    this.#deadlineMs = limits.deadlineMs ?? DEFAULT_DEADLINE_MS;
    this.#most = limits.most ?? DEFAULT_MOST;
  }

  /** Connections that have not said anything yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Calls `found` with the protocol as soon as the first byte is there; closes the connection when it does not come. */
  sniff(socket: Socket, found: (protocol: Protocol) => void): void {
    if (this.#waiting >= this.#most) {
      this.#onSilent();
      socket.destroy();
      return;
    }
    this.#waiting++;
    const stop = (): void => {
      this.#waiting--;
      timer.cancel();
      socket.off("readable", look);
      socket.off("end", leave);
      socket.off("close", stop);
      socket.off("error", ignore);
    };
    const timer = this.#clock.after(this.#deadlineMs, () => {
      this.#onSilent();
      socket.destroy();
    });
    const look = (): void => {
      // Buffer: nobody has set an encoding on a socket that was just accepted.
      const chunk = socket.read() as Buffer | null;
      const first = chunk?.[0];
      if (chunk === null || first === undefined) return;
      stop();
      socket.unshift(chunk);
      found(first === TLS_HANDSHAKE ? "tls" : "plaintext");
    };
    const leave = (): void => void socket.destroy();
    socket.on("readable", look);
    socket.once("end", leave);
    socket.once("close", stop);
    socket.on("error", ignore);
  }
}

/** A peer that resets before it said anything needs no words; "close" follows. */
const ignore = (): void => undefined;
