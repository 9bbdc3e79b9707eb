import type { Stream } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import { WebSocket } from "ws";

/** Parts are handed to the socket only while it holds less than this, in bytes. */
const HIGH_WATER_BYTES = 524_288;

/** A socket that holds more than this belongs to a member that asks and does not read, in bytes. */
export const MAX_BUFFERED_BYTES = 8_388_608;

/** A socket that holds something and lets nothing go for this long belongs to a member that does not read. */
export const MAX_STALL_MS = 30_000;

/** Who goes first: roots, without which nothing works, then endpoints, that die suddenly, then policy, that may be long. */
const order: readonly Stream[] = ["trust", "endpoints", "policy"];

/** What is still to be sent to one member. Holds at most one transaction per stream; everything else goes at once. */
export class Outbox {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #transfers = new Map<Stream, { readonly messages: readonly string[]; next: number }>();
  #progressMs: number;

  constructor(socket: WebSocket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.#progressMs = clock.now();
  }

  /** When the socket last let something go, or was empty. */
  get progressMs(): number {
    return this.#progressMs;
  }

  get overfull(): boolean {
    return this.#socket.bufferedAmount > MAX_BUFFERED_BYTES;
  }

  get stalled(): boolean {
    return this.#socket.bufferedAmount > 0 && this.#clock.now() - this.#progressMs >= MAX_STALL_MS;
  }

  /** Sends a short message at once. */
  say(message: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount === 0) this.#progressMs = this.#clock.now();
    this.#socket.send(message, () => {
      this.#progressMs = this.#clock.now();
      this.#pump();
    });
  }

  /** Sends the messages of a transaction as fast as the member reads them. */
  transfer(stream: Stream, messages: readonly string[]): void {
    this.#transfers.set(stream, { messages, next: 0 });
    this.#pump();
  }

  clear(): void {
    this.#transfers.clear();
  }

  #pump(): void {
    while (this.#socket.bufferedAmount < HIGH_WATER_BYTES && this.#socket.readyState === WebSocket.OPEN) {
      const stream = order.find((each) => this.#transfers.has(each));
      const transfer = stream === undefined ? undefined : this.#transfers.get(stream);
      const message = transfer?.messages[transfer.next];
      if (stream === undefined || transfer === undefined || message === undefined) return;
      transfer.next++;
      if (transfer.next === transfer.messages.length) this.#transfers.delete(stream);
      this.say(message);
    }
  }
}
