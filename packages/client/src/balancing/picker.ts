import { DEFAULT_DECAY_MS, DEFAULT_RTT_MS, type EffectiveBalancer, type Endpoint } from "@tulle/policy";
import type { Random } from "@tulle/time";
import type { EndpointFigures } from "../endpoints/endpoint-figures.ts";
import type { EndpointState } from "../endpoints/endpoint-state.ts";
import { type Hash64, randomHash } from "../hashing/xxh64.ts";
import type { LoadReport } from "../load-reports/load-report.ts";
import { ChoiceOfN } from "./choice-of-n.ts";
import { ConsistentHash } from "./consistent-hash.ts";
import { balancerNamed, type CustomBalancers, CustomPicker } from "./custom-balancer.ts";
import { FiguresKeeper } from "./figures-keeper.ts";
import { buildRing, type HashedHost, type HashRing } from "./hash-ring.ts";
import { LeastRequest } from "./least-request.ts";
import { peakEwmaLoad } from "./load-measure.ts";
import { buildMaglevTable, type MaglevTable } from "./maglev-table.ts";
import { Prequal } from "./prequal.ts";
import { RandomChoice } from "./random-choice.ts";
import { RandomSubset } from "./random-subset.ts";
import { RoundRobin } from "./round-robin.ts";
import { WeightedRoundRobin } from "./weighted-round-robin.ts";
import { Weights } from "./weights.ts";

/** What a picker needs to know of an endpoint. */
export interface Balanced {
  readonly endpoint: Endpoint;
  readonly figures: EndpointFigures;
}

/** How one call to an endpoint ended. */
export interface Outcome {
  /** From the start of the attempt to the reply's headers or the failure. */
  readonly rttMs: number;
  /** Failures and 429 weigh at least {@link FAILURE_PENALTY_MS}, so that an endpoint that fails fast attracts no calls. */
  readonly failed: boolean;
  /** What the reply's Retry-After asked for; weighs instead of the penalty, at most 300 s. */
  readonly retryAfterMs?: number;
}

/** One endpoint as a picker sees it, for explanations. */
export interface CandidateFigures {
  readonly endpoint: string;
  /** Whether calls may go to it, and if not, why. */
  readonly state: EndpointState;
  readonly inFlight: number;
  readonly answered: number;
  readonly failed: number;
  /** Average latency now, milliseconds; `undefined` before the first answer. */
  readonly rttMs: number | undefined;
  /** What the picker compares; lower is better. Equal for all where it does not compare. */
  readonly load: number;
  /** It is outside the client's subset: called only when no endpoint of that is left. */
  readonly reserve?: boolean;
}

/** Chooses the endpoint of an attempt. Synchronous; time and chance are handed in. */
export interface Picker {
  /** As a policy calls it: `peak-ewma`, `round-robin`. */
  readonly name: string;
  /**
   * @param tried ids of endpoints that this call was sent to before, or that should be avoided for another reason; avoided
   * while another one is left.
   * @param key what the call is told apart by, for pickers that send equal keys to equal endpoints.
   * @returns `undefined` only when there is no candidate.
   */
  pick<C extends Balanced>(
    candidates: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    key?: Hash64,
  ): C | undefined;
  /**
   * Instead of `pick`, of a picker that weighs by itself who can be called: one that chooses where before whom.
   *
   * @param panicPercent as of `pickUsable`.
   */
  pickUsable?<C extends Balanced>(
    candidates: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    panicPercent: number,
    key?: Hash64,
  ): C | undefined;
  /** An attempt was sent. */
  start(candidate: Balanced, nowMs: number): void;
  /** An attempt ended; exactly once after each `start`. */
  end(candidate: Balanced, nowMs: number, outcome: Outcome): void;
  /** Whether endpoints are asked how busy they are. @default false */
  readonly readsReports?: boolean;
  /** An endpoint said how busy it is, in a reply; before the `end` of that attempt. */
  report?(candidate: Balanced, nowMs: number, report: LoadReport): void;
  explain(candidates: readonly Balanced[], nowMs: number): readonly CandidateFigures[];
}

/** What pickers are made with. */
export interface PickerKit {
  readonly random: Random;
  /** Those of the application's own, by name. @default none */
  readonly balancers?: CustomBalancers | undefined;
  /** The client's own, for the choice of its subset of endpoints. @default drawn for each picker */
  readonly subsetSeed?: (() => Hash64) | undefined;
  /** Hears what a balancer of the application's own did that it must not do. */
  readonly onFault?: ((problem: string) => void) | undefined;
}

/**
 * The picker that a policy asks for.
 *
 * @throws RangeError for a balancer of the application's own that the kit does not hold.
 */
export const createPicker = (balancer: EffectiveBalancer, kit: PickerKit): Picker => {
  const picker = wholePicker(balancer, kit);
  const { subsetSize: size } = balancer;
  if (size === undefined) return picker;
  return new RandomSubset({ picker, size, seed: kit.subsetSeed?.() ?? randomHash(kit.random) });
};

/** The picker over all endpoints. */
const wholePicker = (balancer: EffectiveBalancer, { random, balancers, onFault }: PickerKit): Picker => {
  const weights = new Weights(balancer.slowStart);
  const keeper = new FiguresKeeper(balancer.algorithm === "peak-ewma" ? balancer.decayMs : DEFAULT_DECAY_MS);
  switch (balancer.algorithm) {
    case "peak-ewma":
      return new ChoiceOfN({
        name: "peak-ewma",
        choices: 2,
        loadOf: peakEwmaLoad(balancer, weights),
        keeper,
        random,
      });
    case "least-request": {
      const choices = balancer.selection === "full-scan" ? Number.POSITIVE_INFINITY : balancer.choiceCount;
      return new LeastRequest({ choices, bias: balancer.activeRequestBias, weights, keeper, random });
    }
    case "round-robin":
      return new RoundRobin({ weights, keeper, random });
    case "random":
      return new RandomChoice({ weights, keeper, random });
    case "ring-hash": {
      const size = { minimum: balancer.minimumRingSize, maximum: balancer.maximumRingSize };
      const build = (hosts: readonly HashedHost[]): HashRing => buildRing(hosts, size);
      const { balanceFactor } = balancer;
      return new ConsistentHash({ name: "ring-hash", build, balanceFactor, weights, keeper, random });
    }
    case "maglev": {
      const { balanceFactor, tableSize } = balancer;
      const build = (hosts: readonly HashedHost[]): MaglevTable => buildMaglevTable(hosts, tableSize);
      return new ConsistentHash({ name: "maglev", build, balanceFactor, weights, keeper, random });
    }
    case "weighted-round-robin": {
      const { blackoutMs, expirationMs, updateMs, errorPenalty } = balancer;
      return new WeightedRoundRobin({ blackoutMs, expirationMs, updateMs, errorPenalty, weights, keeper, random });
    }
    case "prequal": {
      const ewma = { decayMs: DEFAULT_DECAY_MS, defaultRttMs: DEFAULT_RTT_MS };
      return new Prequal({ inFlightQuantile: balancer.inFlightQuantile, ...ewma, weights, keeper, random });
    }
    case "custom": {
      const { name } = balancer;
      const create = balancerNamed(balancers, name);
      if (create === undefined) throw new RangeError(`this process was given no balancer "${name}"`);
      return new CustomPicker({ name, create, weights, keeper, random, onFault });
    }
  }
};
