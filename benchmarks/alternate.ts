/** One way of doing the same thing. */
export interface Contender {
  readonly name: string;
  /** One call, settled when the reply's body is read. */
  readonly call: () => Promise<unknown>;
  /** Where the CPU is used that counts. @default this process */
  readonly usage?: () => Promise<NodeJS.CpuUsage>;
}

/** How long a comparison runs. */
export interface Effort {
  /** Calls of each contender that do not count. */
  readonly warmUp: number;
  /** Calls at the begin of each turn that do not count either: connections may have idled away during the others' turns. */
  readonly settle: number;
  readonly rounds: number;
  /** Calls of each contender in each round. */
  readonly calls: number;
  readonly inFlight: number;
}

/** What one contender cost. */
export interface Cost {
  readonly name: string;
  /** CPU of this process, user and system, per call: the median of the rounds, microseconds. */
  readonly cpuMicros: number;
  /** The same of each round, in their order. */
  readonly rounds: readonly number[];
}

const ownUsage = (): Promise<NodeJS.CpuUsage> => Promise.resolve(process.cpuUsage());

/**
 * Runs the contenders in turn, round by round, in this one process: whatever slows the machine down slows all of them down,
 * and their ratio stays.
 */
export const alternate = async (
  contenders: readonly Contender[],
  { warmUp, settle, rounds, calls, inFlight }: Effort,
): Promise<readonly Cost[]> => {
  for (const { call } of contenders) await repeat(call, warmUp, inFlight);
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    // Each round begins with another contender, so that nobody always follows the same neighbour's garbage.
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const contender = contenders[(round + turn) % contenders.length];
      if (contender === undefined) continue;
      await repeat(contender.call, settle, inFlight);
      const usage = contender.usage ?? ownUsage;
      const before = await usage();
      await repeat(contender.call, calls, inFlight);
      const after = await usage();
      samples.get(contender.name)?.push((after.user - before.user + after.system - before.system) / calls);
    }
  }
  return contenders.map(({ name }) => {
    const measured = samples.get(name) ?? [];
    return { name, cpuMicros: median(measured), rounds: measured };
  });
};

/**
 * How many times as much one contender costs as another: the median of the rounds' own ratios, since what disturbs a round
 * disturbs both.
 */
export const ratioOf = (above: Cost, below: Cost): number =>
  median(above.rounds.map((micros, round) => micros / (below.rounds[round] ?? Number.NaN)));

/** The middle of the values, or between the two in the middle. @throws RangeError without values. */
export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError("there is no median of nothing");
  return (lower + upper) / 2;
};

const repeat = async (call: () => Promise<unknown>, times: number, inFlight: number): Promise<void> => {
  let left = times;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await call();
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, times) }, lane));
};
