import { MAX_TIMER_MS } from "./max-timer.ts";

/**
 * Keeps the process alive while `work` goes on. The mesh's timers and idle sockets are unreferenced, so without it a process
 * that does nothing but wait for one of them would end in the middle. The interval measures nothing.
 */
export const whileHeld = async <T>(work: Promise<T>): Promise<T> => {
  const hold = setInterval(() => undefined, MAX_TIMER_MS);
  try {
    return await work;
  } finally {
    clearInterval(hold);
  }
};
