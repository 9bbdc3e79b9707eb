import type { Clock } from "@tulle/time";
import { expect, test } from "vitest";
import { LAG_SAMPLE_MS, LoopLag } from "./loop-lag.ts";

/** A clock whose timers fire when the test says, however late that is. */
const lateClock = () => {
  let nowMs = 0;
  let due: (() => void) | undefined;
  const clock: Clock = {
    now: () => nowMs,
    wallNow: () => nowMs,
    after: (_delayMs, fire) => {
      due = fire;
      return {
        cancel: () => {
          due = undefined;
        },
      };
    },
  };
  return {
    clock,
    waits: () => due !== undefined,
    fireAfter: (ms: number) => {
      nowMs += ms;
      const fire = due;
      due = undefined;
      fire?.();
    },
  };
};

test("a late timer is the lag, which is forgotten by halves", () => {
  const { clock, fireAfter } = lateClock();
  const lag = new LoopLag(clock);
  lag.hold(() => undefined);
  fireAfter(LAG_SAMPLE_MS);
  expect(lag.currentMs).toBe(0);
  fireAfter(LAG_SAMPLE_MS + 2_000);
  expect(lag.currentMs).toBe(2_000);
  fireAfter(LAG_SAMPLE_MS);
  expect(lag.currentMs).toBe(1_000);
});

test("nobody looks while nobody holds a connection", () => {
  const { clock, fireAfter, waits } = lateClock();
  const lag = new LoopLag(clock);
  expect(waits()).toBe(false);
  const heard: string[] = [];
  const one = (): void => void heard.push("one");
  const other = (): void => void heard.push("other");
  lag.hold(one);
  lag.hold(other);
  fireAfter(LAG_SAMPLE_MS);
  lag.release(one);
  expect(waits()).toBe(true);
  fireAfter(LAG_SAMPLE_MS + 100);
  expect(heard).toEqual(["one", "other", "other"]);
  lag.release(other);
  expect([waits(), lag.currentMs]).toEqual([false, 0]);
});
