import type { IncomingMessage } from "node:http";
import type { Clock } from "@tulle/time";

/** A caller that came in without an identity, which a strict port would refuse. */
export interface PlaintextCaller {
  /** IP address; of IPv4 callers always in their own form. */
  readonly address: string;
  /** What it calls itself, printable ASCII, cut to 120 characters. Nobody vouches for it. */
  readonly userAgent: string | undefined;
  /** `tls`: encrypted, but without a certificate. */
  readonly transport: "plaintext" | "tls";
  /** Since it was first remembered. */
  readonly requests: number;
  /** Clock milliseconds. */
  readonly lastSeenMs: number;
}

/** Callers that are remembered at most; of more, those that were silent for longest are forgotten. */
const MOST_CALLERS = 256;

/** A caller that was silent for this long has moved in, or is gone. */
const REMEMBERED_FOR_MS = 3_600_000;

const MOST_AGENT_CHARACTERS = 120;

interface Remembered {
  readonly address: string;
  readonly userAgent: string | undefined;
  readonly transport: "plaintext" | "tls";
  requests: number;
  lastSeenMs: number;
}

/** Who still comes in without an identity: what must be empty before a service demands one. */
export class PlaintextCallers {
  readonly #clock: Clock;
  /** The one that was seen last stands last. */
  readonly #callers = new Map<string, Remembered>();
  readonly counters = { plaintextVisits: 0, plaintextCallersForgotten: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note({ socket, headers }: Pick<IncomingMessage, "socket" | "headers">, transport: "plaintext" | "tls"): void {
    this.counters.plaintextVisits++;
    const address = plainAddress(socket.remoteAddress ?? "");
    const userAgent = headers["user-agent"]?.slice(0, MOST_AGENT_CHARACTERS).replaceAll(/[^\x20-\x7e]/g, "?");
    const key = `${transport} ${address} ${userAgent ?? ""}`;
    const known = this.#callers.get(key);
    this.#callers.delete(key);
    const caller = known ?? { address, userAgent, transport, requests: 0, lastSeenMs: 0 };
    caller.requests++;
    caller.lastSeenMs = this.#clock.now();
    this.#callers.set(key, caller);
    if (this.#callers.size <= MOST_CALLERS) return;
    const [oldest] = this.#callers.keys();
    if (oldest !== undefined) this.#callers.delete(oldest);
    this.counters.plaintextCallersForgotten++;
  }

  /** The service demands identities from now on: there is nobody left to tell of. */
  clear(): void {
    this.#callers.clear();
  }

  /** Those of the last hour, the most recent first. */
  list(): readonly PlaintextCaller[] {
    const after = this.#clock.now() - REMEMBERED_FOR_MS;
    for (const [key, { lastSeenMs }] of this.#callers) {
      if (lastSeenMs > after) break;
      this.#callers.delete(key);
    }
    return [...this.#callers.values()].map((caller) => ({ ...caller })).reverse();
  }
}

/** A socket that takes both families shows IPv4 addresses in the form of IPv6. */
const plainAddress = (address: string): string => (address.startsWith("::ffff:") ? address.slice(7) : address);
