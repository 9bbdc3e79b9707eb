/** The part of `process` that is needed, so that a test can hand in its own. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  off(signal: NodeJS.Signals, listener: () => void): unknown;
  listenerCount(signal: NodeJS.Signals): number;
  kill(pid: number, signal: NodeJS.Signals): unknown;
  readonly pid: number;
}

const SIGNALS: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"];

/**
 * Runs `leave` on the first SIGTERM or SIGINT, then raises the signal again so that the process ends as it would have without
 * the mesh, unless the application listens to the signal itself and so has plans of its own. A second signal does not wait.
 *
 * @returns the way to stop listening.
 */
export const leaveOnSignal = (leave: () => Promise<void>, source: SignalSource = process): (() => void) => {
  const listeners = new Map<NodeJS.Signals, () => void>();
  const stop = (): void => {
    for (const [signal, listener] of listeners) source.off(signal, listener);
    listeners.clear();
  };
  for (const signal of SIGNALS) {
    const listener = (): void => {
      stop();
      const others = source.listenerCount(signal);
      const end = (): void => {
        if (others === 0) source.kill(source.pid, signal);
      };
      leave().then(end, end);
    };
    listeners.set(signal, listener);
    source.on(signal, listener);
  }
  return stop;
};
