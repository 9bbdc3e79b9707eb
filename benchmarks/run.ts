// `npm run bench`: what the mesh costs, as ratios of contenders that ran in turn.
import { parseArgs } from "node:util";
import { measureAccessCosts, printAccessCosts } from "./access-cost.ts";
import { measureAdmissionCosts, printAdmissionCosts } from "./admission-cost.ts";
import type { Effort } from "./alternate.ts";
import { type CallCosts, measureCallCosts } from "./call-cost.ts";
import { measureCompileCosts, printCompileCosts } from "./compile-cost.ts";
import { measureH2Costs, printH2Costs } from "./h2-cost.ts";
import { measureLayerCosts, printLayerCosts } from "./layer-cost.ts";
import { measureMatchCosts, printMatchCosts } from "./match-cost.ts";
import { measurePickCosts, printPickCosts } from "./pick-cost.ts";
import type { WorkEffort } from "./take-turns.ts";

const FULL: Effort = { warmUp: 3_000, settle: 500, rounds: 7, calls: 10_000, inFlight: 50 };
const QUICK: Effort = { warmUp: 1_000, settle: 200, rounds: 3, calls: 2_000, inFlight: 50 };

/** The gates' code is compiled for good only after so many requests: at 3,000 the ratio is that of a process that has just started. */
const ADMISSION_WARM_UP = 30_000;

const FULL_WORK: WorkEffort = { rounds: 9, runs: 50_000 };
const QUICK_WORK: WorkEffort = { rounds: 3, runs: 5_000 };

const usage = `Usage: npm run bench -- [--quick] [--json]

  --quick  fewer and shorter rounds: to see that it works, not to quote
  --json   one JSON object
`;

const print = ({ node, effort, costs, ratios }: CallCosts): string => {
  const width = Math.max(...[...costs, ...ratios].map(({ name }) => name.length));
  const cost = costs.map(
    ({ name, cpuMicros, rounds }) =>
      `${name.padEnd(width)}  ${cpuMicros.toFixed(1).padStart(6)} µs  (${Math.min(...rounds).toFixed(1)} to ${Math.max(...rounds).toFixed(1)})`,
  );
  const ratio = ratios.map(
    ({ name, ratio: value, target }) =>
      `${name.padEnd(width)}  ${value.toFixed(2).padStart(6)}     (at most ${target}: ${value <= target ? "met" : "MISSED"})`,
  );
  const method = `${effort.rounds} rounds of ${effort.calls} calls, ${effort.inFlight} in flight, Node ${node}`;
  return [`CPU per call in the caller, median of ${method}`, "", ...cost, "", ...ratio, ""].join("\n");
};

const readOptions = (): { readonly quick: boolean; readonly json: boolean } | undefined => {
  try {
    const { values } = parseArgs({
      options: { quick: { type: "boolean", default: false }, json: { type: "boolean", default: false } },
    });
    return values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return undefined;
  }
};

const options = readOptions();
if (options === undefined) {
  process.exitCode = 2;
} else {
  const work = options.quick ? QUICK_WORK : FULL_WORK;
  const match = measureMatchCosts(work);
  const access = measureAccessCosts(work);
  const pick = measurePickCosts(work);
  const compile = await measureCompileCosts({ services: 1_000, rules: 2 });
  const layers = await measureLayerCosts({ ...(options.quick ? QUICK : FULL), inFlight: 1 });
  const calls = await measureCallCosts(options.quick ? QUICK : FULL);
  const http2 = await measureH2Costs(options.quick ? QUICK : FULL);
  const admission = await measureAdmissionCosts(options.quick ? QUICK : { ...FULL, warmUp: ADMISSION_WARM_UP });
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ...calls, match, access, pick, compile, layers, http2, admission })}\n`
      : [
          printMatchCosts(match),
          printAccessCosts(access),
          printPickCosts(pick),
          printCompileCosts(compile),
          printLayerCosts(layers),
          print(calls),
          printH2Costs(http2),
          printAdmissionCosts(admission),
        ].join("\n"),
  );
}
