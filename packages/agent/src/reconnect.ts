import type { Clock, Random } from "@tulle/time";
import pRetry from "p-retry";
import { ConnectFailure } from "./connect-failure.ts";

/** First step of the backoff. */
const BASE_MS = 100;

/** Longest step of the backoff. */
const MAX_MS = 10_000;

/** A refusal that only an operator can heal is tried again about this often. */
const LASTING_MS = 30_000;

/**
 * How long to wait before the next connection: full jitter over a doubling step, so that members do not come back all at
 * once; not before the moment that the server named; slowly after a refusal that waiting does not heal.
 *
 * @param failures in a row, this one included; 1 after a connection that worked.
 */
export const reconnectDelayMs = (failure: ConnectFailure, failures: number, random: Random): number => {
  if (failure.lasting) return LASTING_MS * (0.5 + random());
  return failure.retryAfterMs + random() * Math.min(MAX_MS, BASE_MS * 2 ** (failures - 1));
};

/** What keeps a member connected. */
export interface KeepConnectedOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Ends it: the promise then settles. */
  readonly signal: AbortSignal;
  /** Lives as long as one connection and rejects with its end. `worked` is to be called when it was welcomed. */
  readonly connect: (worked: () => void) => Promise<never>;
  /** Hears of each end and of the wait before the next attempt. */
  readonly onFailure: (failure: ConnectFailure, delayMs: number) => void;
}

/** Connects again and again until the signal says stop. Settles then; never rejects. */
export const keepConnected = async (options: KeepConnectedOptions): Promise<void> => {
  const { clock, random, signal, connect, onFailure } = options;
  let failures = 0;
  const worked = (): void => {
    failures = 0;
  };
  const attempt = async (): Promise<never> => {
    try {
      return await connect(worked);
    } catch (error) {
      // p-retry gives up at a TypeError, which every MeshError is; whatever it was, this loop goes on.
      throw error instanceof ConnectFailure ? error : new ConnectFailure("lost", String(error), { cause: error });
    }
  };
  try {
    await pRetry(attempt, {
      retries: Number.POSITIVE_INFINITY,
      // The delay is ours: p-retry has no full jitter and does not know what the server asked for.
      minTimeout: 0,
      signal,
      onFailedAttempt: async ({ error }) => {
        failures += 1;
        // `attempt` throws nothing else.
        const failure = error as ConnectFailure;
        const delayMs = reconnectDelayMs(failure, failures, random);
        onFailure(failure, delayMs);
        await wait(clock, delayMs, signal);
      },
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};

const wait = (clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(delayMs, done);
    signal.addEventListener("abort", done, { once: true });
  });
