import { createServer } from "node:net";

/** Why a run ends early. */
export type EndReason = "SIGINT" | "SIGTERM" | "SIGHUP" | "orphaned";

const PARENT_CHECK_MS = 500;

/**
 * Calls `end` once when somebody wants the run to end: by a signal, or because npm, which started it, is gone (npm's shell
 * does not hand every signal on). A second signal does not wait: `force` is called.
 */
export const onEndRequest = (end: (reason: EndReason) => void, force: () => void): void => {
  let asked = false;
  const ask = (reason: EndReason): void => {
    if (asked) return;
    asked = true;
    end(reason);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => (asked ? force() : ask(signal)));
  }
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) ask("orphaned");
  }, PARENT_CHECK_MS).unref();
};

/** The port if it is free on loopback, else 0, which stands for any. */
export const freeOrAny = (port: number): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(0));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(port)));
  });

/** Kills processes that may have ended in the meantime. */
export const killNow = (pids: readonly number[]): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
};
