import type { TrafficSplit, WeightedDestination } from "@tulle/policy";
import type { Random } from "@tulle/time";
import type { CallPlan, Send } from "../send.ts";

/** The ready chain of one destination of a split. */
export interface ReadyDestination {
  readonly plan: CallPlan;
  readonly send: Send;
}

/**
 * Draws the call's destination once, above the retry: a call stays with one version, and a canary's failures are the
 * canary's.
 */
export const splitTraffic = (
  split: TrafficSplit,
  ready: ReadonlyMap<WeightedDestination, ReadyDestination>,
  random: Random,
): Send => {
  const [only] = ready.values();
  if (ready.size === 1 && only !== undefined) return (call) => begin(only, call);
  return (call) => {
    const drawn = ready.get(split(random));
    // The map is made from the split's own destinations.
    if (drawn === undefined) return Promise.reject(new Error("the split drew a destination that it does not have"));
    return begin(drawn, call);
  };
};

const begin = ({ plan, send }: ReadyDestination, call: Parameters<Send>[0]): ReturnType<Send> => {
  call.plan = plan;
  call.subset = plan.subset;
  return send(call);
};
