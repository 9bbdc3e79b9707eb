import type { TrafficSplit, WeightedDestination } from "@tulle/policy";
import type { Random } from "@tulle/time";
import type { CallHash } from "../hashing/hash-call.ts";
import { unitOf } from "../hashing/xxh64.ts";
import type { Call, CallPlan, Send } from "../send.ts";
import type { Sessions } from "./session.ts";

/** The ready chain of one destination of a split. */
export interface ReadyDestination {
  readonly plan: CallPlan;
  readonly send: Send;
  /** Other chains for calls on some ports. */
  readonly byPort?: ReadonlyMap<number, ReadyDestination>;
}

/** What a rule's split is made of. */
export interface SplitParts {
  readonly split: TrafficSplit;
  readonly ready: ReadonlyMap<WeightedDestination, ReadyDestination>;
  readonly random: Random;
  /** What calls are told apart by, so that equal ones are drawn alike; `undefined`: all is chance. */
  readonly hash: CallHash | undefined;
  /** `undefined`: the rule keeps no sessions. */
  readonly sessions: Sessions<ReadyDestination> | undefined;
}

/**
 * Draws the call's destination once, above the retry: a call stays with one version, and a canary's failures are the
 * canary's. A session's destination comes first, then the hash of the call's keys, then chance.
 */
export const splitTraffic = (parts: SplitParts): Send => {
  const { sessions } = parts;
  const draw = drawFrom(parts);
  if (sessions === undefined) return (call) => begin(draw(call), call);
  return (call) => {
    const held = sessions.find(call);
    if (held !== undefined) {
      call.sessionEndpoint = held.endpoint;
      const sent = begin(held.destination, call);
      return sessions.perEndpoint ? sent.then((reply) => sessions.goOn(held, call, reply)) : sent;
    }
    const drawn = draw(call);
    return begin(drawn, call).then((reply) => (drawn === undefined ? reply : sessions.begin(drawn, call, reply)));
  };
};

/** Where a call would go by its session, which the call is told of, or its keys; `undefined` where that is left to chance. */
export const foresee = ({ sessions, hash, split, ready }: SplitParts, call: Call): CallPlan | undefined => {
  const held = sessions?.find(call);
  if (held !== undefined) {
    call.sessionEndpoint = held.endpoint;
    return planOf(held.destination, call);
  }
  const [only] = ready.values();
  if (ready.size === 1) return planOf(only, call);
  const found = hash?.(call);
  return found === undefined ? undefined : planOf(ready.get(split(() => unitOf(found))), call);
};

const planOf = (ready: ReadyDestination | undefined, { port }: Call): CallPlan | undefined =>
  (ready?.byPort?.get(port) ?? ready)?.plan;

type Draw = (call: Call) => ReadyDestination | undefined;

/**
 * A hash counts as its share of the whole range, as a number drawn by chance does. Envoy takes its rest by the sum of the
 * weights instead, by which every key moves when the sum changes; here only those move whose share of the sum does.
 */
const drawFrom = ({ split, ready, random, hash }: SplitParts): Draw => {
  const [only] = ready.values();
  if (ready.size === 1) return () => only;
  if (hash === undefined) return () => ready.get(split(random));
  return (call) => {
    const found = hash(call);
    return ready.get(found === undefined ? split(random) : split(() => unitOf(found)));
  };
};

const begin = (drawn: ReadyDestination | undefined, call: Call): ReturnType<Send> => {
  // The map is made from the split's own destinations.
  if (drawn === undefined) return Promise.reject(new Error("the split drew a destination that it does not have"));
  const ready = drawn.byPort?.get(call.port) ?? drawn;
  call.plan = ready.plan;
  call.subset = ready.plan.subset;
  return ready.send(call);
};
