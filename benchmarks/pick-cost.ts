// What one pick costs, by balancer and size of the service.
import { type Balanced, createPicker, newFigures, type Picker, pickUsable, xxh64 } from "@tulle/client/balancing";
import { seededRandom } from "@tulle/testing";
import { median } from "./alternate.ts";
import { balancers as simulated } from "./simulation/balancers.ts";
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

/** A scan over all endpoints says in its name what it costs. */
const balancers = simulated.filter(({ name }) => !name.includes("full scan"));

/** A pick is short beside the grain of CPU time. */
const MORE_RUNS = 10;

/** Numbers of endpoints. */
const serviceSizes = [3, 100, 10_000];

/** Changes whose median is told. */
const CHANGES = 5;

/** Lets all balancers of all sizes pick in turn. */
export const measurePickCosts = ({ rounds, runs }: WorkEffort): PickCosts => {
  const effort = { rounds, runs: runs * MORE_RUNS };
  const services = serviceSizes.map(endpointsOf);
  const works = balancers.flatMap(({ name, balancer }) =>
    services.map((all) => pickWork(name, createPicker(balancer, { random: seededRandom(1) }), all)),
  );
  const [calibration, ...found] = takeTurns([calibrationWork, ...works], effort);
  if (calibration === undefined) throw new RangeError("nothing was measured");
  return {
    effort,
    calibration,
    rows: balancers.map(({ name, balancer }, row) => ({
      name,
      costs: found.slice(row * services.length, (row + 1) * services.length),
      changeMs: changeOf(createPicker(balancer, { random: seededRandom(1) }), services.at(-1) ?? []),
    })),
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
  run: (turn) => pickUsable(picker, all, undefined, 1_000, 50, chance, keys[turn & 1_023])?.endpoint.port ?? 0,
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
  const took = Array.from({ length: CHANGES }, () => {
    // A list is replaced whole when one of its endpoints changes.
    const changed = all.slice();
    const before = process.threadCpuUsage();
    pickUsable(picker, changed, undefined, 1_000, 50, chance, keys[0]);
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000;
  });
  return median(took);
};

/** Endpoints that have been called a little, so that their latencies and loads differ. */
const endpointsOf = (count: number): readonly Balanced[] => {
  const random = seededRandom(2);
  return Array.from({ length: count }, (_, place) => {
    const figures = newFigures(0);
    figures.inFlight = Math.floor(random() * 5);
    figures.measured = true;
    figures.rtt.costMs = 5 + 20 * random();
    return {
      endpoint: {
        id: `e${place}`,
        address: `10.${place >> 16}.${(place >> 8) & 255}.${place & 255}`,
        port: 8_080,
        transport: "mtls",
        labels: {},
        health: "healthy",
        serviceAccount: "bench",
      },
      figures,
    };
  });
};
