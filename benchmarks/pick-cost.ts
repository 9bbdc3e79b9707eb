// What one pick costs, by balancer and size of the service.
import { type Balanced, type Picker, pickUsable, xxh64 } from "@tulle/client/balancing";
import { seededRandom } from "@tulle/testing";
import { PICKED_AT_MS, pickVariants } from "./pick-variants.ts";
import { takeTurns, type Work, type WorkCost, type WorkEffort } from "./take-turns.ts";

/** Asked only where endpoints are degraded. */
const chance = seededRandom(5);

/** One balancer, by the number of endpoints. */
export interface PickRow {
  readonly name: string;
  readonly costs: readonly WorkCost[];
  /**
   * CPU milliseconds for the first pick after one endpoint of the largest service has changed: what is built from the list is
   * built anew.
   */
  readonly changeMs: number;
}

/** Everything that one run found out. */
export interface PickCosts {
  readonly effort: WorkEffort;
  readonly calibration: WorkCost;
  readonly rows: readonly PickRow[];
}

/** A pick is short beside the grain of CPU time. */
const MORE_RUNS = 10;

/** Numbers of endpoints. */
const serviceSizes = [3, 100, 10_000];

/** Changes whose mean is told. */
const CHANGES = 25;

/** Lets all balancers of all sizes pick in turn. */
export const measurePickCosts = ({ rounds, runs }: WorkEffort): PickCosts => {
  const effort = { rounds, runs: runs * MORE_RUNS };
  const works = pickVariants.flatMap(({ name, create, endpoints }) =>
    serviceSizes.map((size) => {
      const all = endpoints(size);
      return pickWork(name, create(all), all);
    }),
  );
  const [calibration, ...found] = takeTurns([calibrationWork, ...works], effort);
  if (calibration === undefined) throw new RangeError("nothing was measured");
  return {
    effort,
    calibration,
    rows: pickVariants.map(({ name, create, endpoints }, row) => {
      const all = endpoints(Math.max(...serviceSizes));
      return {
        name,
        costs: found.slice(row * serviceSizes.length, (row + 1) * serviceSizes.length),
        changeMs: changeOf(create(all), all),
      };
    }),
  };
};

/** The table for people. */
export const printPickCosts = ({ effort, calibration, rows }: PickCosts): string => {
  const width = Math.max(calibration.name.length, ...rows.map(({ name }) => name.length));
  const cell = ({ nanos, ratio }: WorkCost): string =>
    `${nanos.toFixed(0).padStart(7)} (${ratio.toFixed(1).padStart(5)})`;
  return [
    `ns per pick by the number of endpoints, and how many times the calibration; median of ${effort.rounds} rounds of ${effort.runs}`,
    "",
    `${calibration.name.padEnd(width)}  ${cell(calibration)}`,
    "",
    `${"endpoints".padEnd(width)}  ${serviceSizes.map((size) => String(size).padStart(15)).join("")}  change of one among ${serviceSizes.at(-1)}`,
    ...rows.map(
      ({ name, costs, changeMs }) =>
        `${name.padEnd(width)}  ${costs.map((cost) => cell(cost).padStart(15)).join("")}  ${changeMs.toFixed(2).padStart(8)} ms`,
    ),
    "",
  ].join("\n");
};

const keys = Array.from({ length: 1_024 }, (_, at) => xxh64(`user-${at}`));

const pickWork = (name: string, picker: Picker, all: readonly Balanced[]): Work => ({
  name: `${name} of ${all.length}`,
  run: (turn) => pickUsable(picker, all, undefined, PICKED_AT_MS, 50, chance, keys[turn & 1_023])?.endpoint.port ?? 0,
});

/** A multiplication by chance and a look at a field, twenty times: what the machine is like today. */
const calibrationWork: Work = {
  name: "calibration: 20 random reads",
  run: (() => {
    const random = seededRandom(3);
    const values = Float64Array.from({ length: 100 }, () => random());
    return () => {
      let sum = 0;
      for (let read = 0; read < 20; read++) sum += values[Math.floor(random() * 100)] ?? 0;
      return sum;
    };
  })(),
};

const changeOf = (picker: Picker, all: readonly Balanced[]): number => {
  let list = all;
  const pick = (): unknown => pickUsable(picker, list, undefined, PICKED_AT_MS, 50, chance, keys[0]);
  pick();
  // One change is short beside the grain of CPU time.
  const before = process.threadCpuUsage();
  for (let change = 0; change < CHANGES; change++) {
    // A list is replaced whole when one of its endpoints changes.
    const changed = list.slice();
    const one = changed[change];
    if (one !== undefined) changed[change] = { ...one, endpoint: { ...one.endpoint } };
    list = changed;
    pick();
  }
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000 / CHANGES;
};
