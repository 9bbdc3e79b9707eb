import { median } from "./alternate.ts";

/** One way of doing something that needs no waiting. The number keeps what it computes from being left out. */
export interface Work {
  readonly name: string;
  readonly run: (turn: number) => number;
}

/** How long a comparison runs. */
export interface WorkEffort {
  readonly rounds: number;
  /** Of each contender in each round. */
  readonly runs: number;
}

/** What one contender took. */
export interface WorkCost {
  readonly name: string;
  /** Median of the rounds. */
  readonly nanos: number;
  /** Median of the rounds' own ratios to the first contender, which is there to calibrate. */
  readonly ratio: number;
}

const sink = new Float64Array(1);

/** Runs the contenders in turn, round by round, so that whatever disturbs one disturbs all. The first round warms up. */
export const takeTurns = (works: readonly Work[], { rounds, runs }: WorkEffort): readonly WorkCost[] => {
  const measured = works.map(() => [] as number[]);
  for (let round = 0; round <= rounds; round++) {
    for (const [at, { run }] of works.entries()) {
      const nanos = nanosPerRun(run, runs);
      if (round > 0) measured[at]?.push(nanos);
    }
  }
  const [calibration = []] = measured;
  return works.map(({ name }, at) => {
    const nanos = measured[at] ?? [];
    const ratios = nanos.map((each, round) => each / (calibration[round] ?? Number.NaN));
    return { name, nanos: median(nanos), ratio: median(ratios) };
  });
};

/** CPU time of the thread: what other processes of a busy machine take away does not count. */
const nanosPerRun = (run: Work["run"], runs: number): number => {
  const before = process.threadCpuUsage();
  let all = 0;
  for (let turn = 0; turn < runs; turn++) all += run(turn);
  sink[0] = all;
  const { user, system } = process.threadCpuUsage(before);
  return ((user + system) * 1_000) / runs;
};
