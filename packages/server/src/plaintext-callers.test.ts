import type { Socket } from "node:net";
import { FakeClock } from "@tulle/testing";
import { expect, test } from "vitest";
import { PlaintextCallers } from "./plaintext-callers.ts";

// The tracker reads these fields and no others.
const from = (remoteAddress: string, agent?: string) => ({
  socket: { remoteAddress } as Socket,
  headers: agent === undefined ? {} : { "user-agent": agent },
});

test("counts the requests of a caller by address, agent and transport, the most recent first", () => {
  const clock = new FakeClock();
  const callers = new PlaintextCallers(clock);
  callers.note(from("::ffff:10.0.0.7", "curl/8"), "plaintext");
  clock.advance(1_000);
  callers.note(from("10.0.0.8"), "tls");
  clock.advance(1_000);
  callers.note(from("10.0.0.7", "curl/8"), "plaintext");
  expect(callers.list()).toEqual([
    { address: "10.0.0.7", userAgent: "curl/8", transport: "plaintext", requests: 2, lastSeenMs: clock.now() },
    { address: "10.0.0.8", userAgent: undefined, transport: "tls", requests: 1, lastSeenMs: clock.now() - 1_000 },
  ]);
  expect(callers.counters.plaintextVisits).toBe(3);
});

test("forgets who was silent for an hour", () => {
  const clock = new FakeClock();
  const callers = new PlaintextCallers(clock);
  callers.note(from("10.0.0.7"), "plaintext");
  clock.advance(1_800_000);
  callers.note(from("10.0.0.8"), "plaintext");
  clock.advance(1_800_000);
  expect(callers.list().map(({ address }) => address)).toEqual(["10.0.0.8"]);
});

test("remembers 256 callers at most, and counts those that were forgotten for it", () => {
  const callers = new PlaintextCallers(new FakeClock());
  for (let caller = 0; caller < 300; caller++) callers.note(from("10.0.0.7", `agent-${caller}`), "plaintext");
  expect(callers.list()).toHaveLength(256);
  expect(callers.list().at(-1)?.userAgent).toBe("agent-44");
  expect(callers.counters.plaintextCallersForgotten).toBe(44);
});

test("takes an agent's name as text that steers no terminal and fills no memory", () => {
  const callers = new PlaintextCallers(new FakeClock());
  callers.note(from("10.0.0.7", `\u001b[2J\u009b${"x".repeat(500)}`), "plaintext");
  expect(callers.list()[0]?.userAgent).toMatch(/^\?\[2J\?x{115}$/);
});
