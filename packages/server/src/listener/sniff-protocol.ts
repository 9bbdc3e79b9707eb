import type { Socket } from "node:net";
import type { Clock } from "@tulle/time";

/** What a connection speaks, by its first bytes: TLS, HTTP/2 with prior knowledge, or anything else, which HTTP/1.1 is tried for. */
export type Protocol = "tls" | "h2c" | "plaintext";

/** The record type with which every TLS connection begins: handshake (RFC 8446, 5.1). */
const TLS_HANDSHAKE = 0x16;

/** With this every connection in HTTP/2 begins (RFC 9113, 3.4). No request in HTTP/1.1 does. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** `undefined` while more must come. */
const protocolOf = (start: Buffer): Protocol | undefined => {
  if (start[0] === TLS_HANDSHAKE) return "tls";
  const compared = Math.min(start.length, PREFACE.length);
  if (start.compare(PREFACE, 0, compared, 0, compared) !== 0) return "plaintext";
  return compared === PREFACE.length ? "h2c" : undefined;
};

/** How long a connection may take before it has said what it wants, and how many may at once. */
export interface SniffLimits {
  /** Until its first bytes. @default 10000 */
  readonly deadlineMs?: number;
  /** Connections without a byte at a time. @default 1024 */
  readonly most?: number;
  /** From its first byte to the end of the TLS handshake. @default 10000 */
  readonly handshakeMs?: number;
  /** From the first byte of a request in HTTP/1.1 to the end of its headers; looked at every 5 s, or as often. @default 15000 */
  readonly headersMs?: number;
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

  /** Calls `found` with the protocol as soon as its first bytes tell it; closes the connection when they do not come. */
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
    let start: Buffer | undefined;
    const look = (): void => {
      // Buffer: nobody has set an encoding on a socket that was just accepted.
      const chunk = socket.read() as Buffer | null;
      if (chunk === null || chunk.length === 0) return;
      start = start === undefined ? chunk : Buffer.concat([start, chunk]);
      const protocol = protocolOf(start);
      if (protocol === undefined) return;
      stop();
      socket.unshift(start);
      found(protocol);
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
