import type { Clock } from "./clock.ts";
import { MAX_TIMER_MS } from "./max-timer.ts";

/** The only reader of real time. Its timers are unreferenced, so a process whose work is done exits. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, Math.min(Math.max(delayMs, 0), MAX_TIMER_MS));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
