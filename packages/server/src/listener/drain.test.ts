import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { FakeClock } from "@tulle/testing";
import { expect, test } from "vitest";
import { untilQuiet } from "./drain.ts";
import { OpenSockets } from "./open-sockets.ts";

/** What OpenSockets needs of a socket. */
const fakeSocket = (): Socket => new EventEmitter() as unknown as Socket;

test("waits for the last connection and then for a moment in which none comes", async () => {
  const clock = new FakeClock();
  const sockets = new OpenSockets();
  const [first, late] = [fakeSocket(), fakeSocket()];
  sockets.add(first);
  let left: number | undefined;
  const waiting = untilQuiet(sockets, 45_000, clock).then((count) => {
    left = count;
  });
  await clock.advanceAsync(10_000);
  expect(left).toBeUndefined();
  first.emit("close");
  await clock.advanceAsync(50);
  sockets.add(late);
  await clock.advanceAsync(1_000);
  expect(left).toBeUndefined();
  late.emit("close");
  await clock.advanceAsync(100);
  await waiting;
  expect(left).toBe(0);
  expect(clock.pendingTimers).toBe(0);
});

test("gives up when the budget is over and tells how many are left", async () => {
  const clock = new FakeClock();
  const sockets = new OpenSockets();
  sockets.add(fakeSocket());
  const waiting = untilQuiet(sockets, 45_000, clock);
  await clock.advanceAsync(45_000);
  expect(await waiting).toBe(1);
  expect(clock.pendingTimers).toBe(0);
});
