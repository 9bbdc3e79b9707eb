import { FakeClock } from "@tulle/testing";
import { describe, expect, it } from "vitest";
import type { WebSocket } from "ws";
import { MAX_BUFFERED_BYTES, MAX_STALL_MS, Outbox } from "./outbox.ts";

const OPEN = 1;

/** A socket that lets go of what it holds when the test says so. */
class HeldSocket {
  readyState = OPEN;
  readonly sent: string[] = [];
  readonly #held: { readonly bytes: number; readonly flushed: () => void }[] = [];

  get bufferedAmount(): number {
    return this.#held.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  send(text: string, flushed: () => void): void {
    this.sent.push(text.slice(0, 2));
    this.#held.push({ bytes: text.length, flushed });
  }

  flush(): void {
    this.#held.shift()?.flushed();
  }
}

const open = () => {
  const clock = new FakeClock();
  const socket = new HeldSocket();
  // The outbox uses no more of a WebSocket than the four members above.
  return { clock, socket, outbox: new Outbox(socket as unknown as WebSocket, clock) };
};

const part = (name: string): string => name.padEnd(262_144);

describe("the outbox", () => {
  it("hands parts to the socket only while it holds little, and the rest as it lets go", () => {
    const { socket, outbox } = open();
    outbox.transfer("policy", ["p0", "p1", "p2", "p3"].map(part));
    expect(socket.sent).toEqual(["p0", "p1"]);
    socket.flush();
    expect(socket.sent).toEqual(["p0", "p1", "p2"]);
    socket.flush();
    socket.flush();
    expect(socket.sent).toEqual(["p0", "p1", "p2", "p3"]);
  });

  it("lets roots and endpoints overtake a long policy, and short messages all", () => {
    const { socket, outbox } = open();
    outbox.transfer("policy", ["p0", "p1", "p2"].map(part));
    outbox.transfer("endpoints", [part("e0")]);
    outbox.transfer("trust", [part("t0")]);
    outbox.say("do");
    for (let flushes = 0; flushes < 6; flushes++) socket.flush();
    expect(socket.sent).toEqual(["p0", "p1", "do", "t0", "e0", "p2"]);
  });

  it("knows a socket that holds too much", () => {
    const { socket, outbox } = open();
    outbox.say("x".repeat(MAX_BUFFERED_BYTES));
    expect(outbox.overfull).toBe(false);
    outbox.say("x");
    expect(outbox.overfull).toBe(true);
    socket.flush();
    expect(outbox.overfull).toBe(false);
  });

  it("knows a socket that lets nothing go, and not one that is idle", () => {
    const { clock, socket, outbox } = open();
    clock.advance(MAX_STALL_MS * 2);
    expect(outbox.stalled).toBe(false);
    outbox.say("a");
    outbox.say("b");
    clock.advance(MAX_STALL_MS - 1);
    expect(outbox.stalled).toBe(false);
    socket.flush();
    clock.advance(MAX_STALL_MS - 1);
    expect(outbox.stalled).toBe(false);
    clock.advance(1);
    expect(outbox.stalled).toBe(true);
  });

  it("says nothing on a socket that closes, and forgets what was to be sent when told to", () => {
    const { socket, outbox } = open();
    outbox.transfer("policy", ["p0", "p1", "p2"].map(part));
    outbox.clear();
    socket.flush();
    socket.readyState = 2;
    outbox.say("no");
    expect(socket.sent).toEqual(["p0", "p1"]);
  });
});
