import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import type { Census, LeakReport } from "./leak-program.ts";

/** `LEAK_CALLS=50000` for a quick look. */
const calls = Number(process.env.LEAK_CALLS ?? 1_000_000);
/** Of which every promise and timer is watched, which makes them several times slower. */
const watched = Math.min(calls, 20_000);

/** What the heap moves by itself from one collection to the next. */
const NOISE_BYTES = 1_000_000;

const children: ChildProcess[] = [];
const start = (file: string, ...execArgv: readonly string[]): ChildProcess => {
  const child = fork(new URL(file, import.meta.url), { execArgv: [...execArgv] });
  children.push(child);
  return child;
};

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

test(`${calls} calls with retries, hedges, aborts, faults and mirrors leave nothing behind`, async () => {
  const [ports] = (await once(start("./leak-server.mjs"), "message")) as [number[]];
  const program = start("./leak-program.ts", "--expose-gc");
  program.send({ ports, calls, watched });
  const ended = once(program, "exit").then(([code]) => Promise.reject(new Error(`the program ended with ${code}`)));
  const [report] = (await Promise.race([once(program, "message"), ended])) as [LeakReport];
  const { before, half, after, closed, unsettled, idle, counters, outcomes } = report;

  // Each way in which a call can go was gone.
  for (const way of ["retries", "hedges", "hedgesCancelled", "faultDelays", "faultAborts", "mirrored", "throttled"]) {
    expect(counters[way], way).toBeGreaterThan(0);
  }
  for (const end of ["200", "fetch 200", "503", "429", "ABORTED", "ATTEMPT_TIMEOUT", "CIRCUIT_OPEN", "THROTTLED"]) {
    expect(outcomes[end], end).toBeGreaterThan(0);
  }

  // Nothing more than before: no socket, timer, listener or handle.
  const counted = ({ heapBytes: _, ...rest }: Census): Omit<Census, "heapBytes"> => rest;
  expect(counted(half)).toEqual(counted(before));
  expect(counted(after)).toEqual(counted(before));
  // The second half of the calls left less than a pointer each in the heap.
  expect(after.heapBytes - half.heapBytes).toBeLessThan(NOISE_BYTES + (calls / 2) * 4);
  expect(unsettled).toEqual(idle);
  // And nothing at all when the client is closed.
  expect(closed).toMatchObject({ sockets: 0, clockTimers: 0, signalListeners: 0 });
}, 600_000);
