import type { Clock, Timer } from "@tulle/time";
import type { OpenSockets } from "./open-sockets.ts";

/** How a drain went. */
export interface DrainReport {
  /** Connections that were open when it began. */
  readonly connectionsAtStart: number;
  /** Connections that were still open when the budget of time ended, and were cut. */
  readonly connectionsCut: number;
  readonly durationMs: number;
}

/** Connections must stay away for this long: one may be on its way while the last one closes. */
const QUIET_MS = 100;

/**
 * Waits until the clients have closed their connections, or until the budget ends.
 *
 * @returns how many were still open.
 */
export const untilQuiet = (sockets: OpenSockets, budgetMs: number, clock: Clock): Promise<number> =>
  new Promise((resolve) => {
    let quiet: Timer | undefined;
    const finish = (): void => {
      quiet?.cancel();
      budget.cancel();
      stop();
      resolve(sockets.size);
    };
    const wait = (): void => {
      quiet?.cancel();
      quiet = clock.after(QUIET_MS, () => {
        if (sockets.size === 0) finish();
      });
    };
    const budget = clock.after(budgetMs, finish);
    const stop = sockets.onEmpty(wait);
    if (sockets.size === 0) wait();
  });
