import { MAX_TIMER_MS } from "@tulle/time";

/**
 * Keeps the process alive while `work` goes on. All sockets and timers of the agent are unreferenced, so without it a process
 * that does nothing but wait for the mesh would end. The interval measures nothing.
 */
export const whileHeld = async <T>(work: Promise<T>): Promise<T> => {
  const hold = setInterval(() => undefined, MAX_TIMER_MS);
  try {
    return await work;
  } finally {
    clearInterval(hold);
  }
};
