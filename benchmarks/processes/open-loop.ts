import type { Random } from "@tulle/time";

/** One call. Settles with the status when the body is read. */
export type MakeCall = (number: number, signal: AbortSignal) => Promise<number>;

/** How calls are made. */
export interface Load {
  /** Calls a second, on the mean. */
  readonly rate: number;
  readonly seconds: number;
  /** A call that takes longer has failed. */
  readonly limitMs: number;
  /** Spreads the calls' starts as those of many independent callers (Poisson). */
  readonly random: Random;
}

/** What became of the calls. */
export interface Measured {
  readonly calls: number;
  /** Calls that were answered by 500 or above, or not at all. */
  readonly errors: number;
  /** The errors by their status or code. */
  readonly failures: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * Makes calls at a rate that does not wait for answers. A latency counts from the moment at which the call was due: what a
 * late start adds is the caller's time too (no coordinated omission).
 */
export const openLoop = async (call: MakeCall, { rate, seconds, limitMs, random }: Load): Promise<Measured> => {
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  const latencies: number[] = [];
  const underWay = new Set<Promise<void>>();
  const failures: Record<string, number> = {};
  const fail = (how: string): void => {
    failures[how] = (failures[how] ?? 0) + 1;
  };
  const begin = (number: number, dueMs: number): void => {
    const made = call(number, AbortSignal.timeout(limitMs))
      .then((status) => {
        if (status >= 500) fail(String(status));
      })
      .catch((error: unknown) => fail(nameOf(error)))
      .then(() => {
        latencies.push(performance.now() - dueMs);
        underWay.delete(made);
      });
    underWay.add(made);
  };
  let number = 0;
  for (let dueMs = startMs; dueMs < endMs; dueMs += (-Math.log(1 - random()) * 1_000) / rate) {
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    begin(number, dueMs);
    number += 1;
  }
  await Promise.all(underWay);
  latencies.sort((a, b) => a - b);
  return {
    calls: latencies.length,
    errors: Object.values(failures).reduce((sum, each) => sum + each, 0),
    failures,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
  };
};

const nameOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return "code" in error ? String(error.code) : error.name;
};

/** The nearest rank of sorted values. */
export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
