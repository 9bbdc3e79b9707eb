import type { EffectiveHedge, EffectiveTimeouts } from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
import type { Circuit } from "./breaker/circuit.ts";
import type { HashSource } from "./hashing/hash-call.ts";
import { breakCircuit } from "./layers/break-circuit.ts";
import { enforceDeadline } from "./layers/enforce-deadline.ts";
import { hedge } from "./layers/hedge.ts";
import type { FaultCounters, HeldCalls } from "./layers/inject-fault.ts";
import { limitAttempt } from "./layers/limit-attempt.ts";
import type { MirrorCounters, Mirrors } from "./layers/mirror-call.ts";
import { observeAttempt } from "./layers/observe-attempt.ts";
import { type CallSource, observeCall } from "./layers/observe-call.ts";
import {
  affordsLosers,
  type Destination,
  type EndpointSend,
  hasUntried,
  pickEndpoint,
} from "./layers/pick-endpoint.ts";
import { type RetryKit, retry } from "./layers/retry.ts";
import { type ThrottleCounters, throttleAttempt } from "./layers/throttle-attempt.ts";
import type { RetryCounters } from "./retry/attempt-outcome.ts";
import type { LatencyEstimate } from "./retry/latency-estimate.ts";
import { mayMove } from "./retry/may-move.ts";
import type { RetryBudget } from "./retry/retry-budget.ts";
import type { RetryRules } from "./retry/retry-rules.ts";
import type { AttemptLayer, AttemptSend, AttemptsLayer, Layer, Send } from "./send.ts";
import { chain } from "./send.ts";
import type { ClientTelemetry } from "./telemetry/client-telemetry.ts";
import type { AdaptiveThrottle } from "./throttling/adaptive-throttle.ts";
import type { DestinationUsage } from "./transport/destination-usage.ts";
import { dispatchTo, type ExchangeLimits } from "./transport/dispatch.ts";

/** One line of the chain: a step, and why it stands where it stands. */
export interface Line<Step> {
  readonly name: string;
  readonly because: string;
  readonly step: Step;
}

/** What all calls of a client share. */
export interface ClientParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: ClientTelemetry;
  readonly source: CallSource;
  readonly counters: RetryCounters & FaultCounters & MirrorCounters & ThrottleCounters;
  readonly held: HeldCalls;
  readonly mirrors: Mirrors;
  readonly hashSource: HashSource;
  /** Tells the operator something, once. */
  readonly notice: (text: string) => void;
}

/** What a destination does to its calls by itself; `undefined` is no step, as in {@link RuleParts}. */
export interface DestinationSteps {
  readonly changeReply: Layer | undefined;
  readonly changeRequest: Layer | undefined;
  readonly rewriteHost: Layer | undefined;
}

/** What one destination of one rule needs. */
export interface DestinationParts extends ClientParts, DestinationSteps {
  readonly timeouts: EffectiveTimeouts;
  readonly retry: RetryRules | undefined;
  /** `undefined`: no attempt begins while another is under way. */
  readonly hedge: EffectiveHedge | undefined;
  readonly retryFallback: RetryRules;
  readonly budget: RetryBudget;
  readonly latency: LatencyEstimate;
  /** `undefined` where the policy turned it off. */
  readonly circuit: Circuit | undefined;
  /** `undefined` where the policy does not ask for it. */
  readonly throttle: AdaptiveThrottle | undefined;
  readonly destination: Destination;
  /** Finds addresses where no registry tells any. `undefined` inside the mesh. */
  readonly findOutside: Layer | undefined;
  /** Gives callers the cookies that their calls are told apart by. */
  readonly hashCookie: Layer | undefined;
  readonly usage: DestinationUsage;
}

/**
 * What one rule needs before its destination is known. A feature that the rule does not use is `undefined`, is no step, and
 * costs its calls nothing.
 */
export interface RuleParts {
  readonly cors: Layer | undefined;
  readonly fault: Layer | undefined;
  readonly changeReply: Layer | undefined;
  readonly answer: Layer | undefined;
  readonly rewritePath: Layer | undefined;
  readonly rewriteHost: Layer | undefined;
  readonly changeRequest: Layer | undefined;
  readonly mirror: Layer | undefined;
}

/** The steps of every call before its rule is known. */
export interface FrontChain {
  readonly call: readonly Line<Layer>[];
  readonly route: Line<Send>;
}

/** The steps of a call under one rule, before its destination is known. */
export interface RuleChain {
  readonly call: readonly Line<Layer>[];
  readonly split: Line<Send>;
}

/** The steps of a call to one destination. */
export interface DestinationChain {
  readonly call: readonly Line<Layer>[];
  readonly attempts: Line<AttemptsLayer>;
  readonly attempt: readonly Line<AttemptLayer>[];
  readonly endpoint: Line<AttemptSend>;
}

/** The order in which every call begins. It goes on with {@link ruleChain}. */
export const frontChain = ({ telemetry, source, clock }: ClientParts, route: Send): FrontChain => ({
  call: [
    line(
      "observe call",
      "outermost: sees the final outcome and the whole duration",
      observeCall(telemetry, source, clock),
    ),
  ],
  route: line("route", "the first rule that fits picks a ready chain", route),
});

/** The order in which a call meets the steps of its rule: that of Envoy's filters. It goes on with {@link destinationChain}. */
export const ruleChain = (parts: RuleParts, split: Send): RuleChain => ({
  call: [
    ...step(
      "cors",
      "outermost of the rule: answers a preflight, and marks whatever else comes back, faults included",
      parts.cors,
    ),
    ...step("fault", "before anything is changed or sent; its delay is no part of the rule's timeout", parts.fault),
    ...step("change reply", "above the answer: redirects and direct responses carry it too", parts.changeReply),
    ...step("answer", "ends the call: nothing is sent, so nothing below is needed", parts.answer),
    ...step("rewrite path", "below the answer, which speaks of the path that was asked for", parts.rewritePath),
    ...step(
      "rewrite host",
      "beside the path: what is sent, while errors and telemetry keep what was asked",
      parts.rewriteHost,
    ),
    ...step("change request", "above the mirror: the copy carries it too", parts.changeRequest),
    ...step("mirror", "below the rewrite: the copy looks like what is sent", parts.mirror),
  ],
  split: line("split", "draws the destination once per call, above the retry: a canary's failures stay its own", split),
});

/** The order in which a call meets the steps of its destination. */
export const destinationChain = (parts: DestinationParts): DestinationChain => ({
  call: [
    ...step("change reply", "inside the rule's change of the reply, which is made after and wins", parts.changeReply),
    ...step("change request", "the destination's changes and then the rule's, which win", parts.changeRequest),
    ...step("rewrite host", "only here is it known which service answers", parts.rewriteHost),
    ...step(
      "hash cookie",
      "inside the changes of the reply, which may take it off; above the attempts, which share the value",
      parts.hashCookie,
    ),
    line("deadline", "above the retry: all attempts share one deadline", enforceDeadline(parts.timeouts, parts.clock)),
    ...step(
      "find outside",
      "below the deadline, above the attempts: one wait for DNS serves them all",
      parts.findOutside,
    ),
  ],
  attempts: attemptsOf(parts),
  attempt: [
    line("observe attempt", "above the circuit: sees its refusals too", observeAttempt(parts.telemetry, parts.random)),
    ...step(
      "circuit",
      "below the retry: each attempt asks it and teaches it",
      parts.circuit === undefined ? undefined : breakCircuit(parts.circuit),
    ),
    ...step(
      "throttle",
      "below the retry: whatever would be sent counts; below the circuit: its refusals are no word of the destination",
      parts.throttle && throttleAttempt(parts.throttle, parts.clock, parts.counters),
    ),
    line("attempt limit", "below the circuit: a timeout is a failure to it", limitAttempt(parts.timeouts, parts.clock)),
  ],
  endpoint: line("pick and dispatch", "innermost: picks from the figures of this moment", endpointOf(parts)),
});

const kitOf = (parts: DestinationParts): RetryKit => {
  const { retry: policy, retryFallback: fallback, budget, latency, clock, random, counters } = parts;
  return { policy, fallback, budget, latency, clock, random, counters };
};

const attemptsOf = (parts: DestinationParts): Line<AttemptsLayer> => {
  const { destination } = parts;
  const kit = kitOf(parts);
  if (parts.hedge === undefined) {
    return line("retry", "above the pick: each attempt goes elsewhere; all below happens once per attempt", retry(kit));
  }
  return line(
    "hedge and retry",
    "above the pick: several attempts may be under way, each elsewhere; all below happens once per attempt",
    hedge({
      ...kit,
      hedge: parts.hedge,
      hasUntried: (call) => hasUntried(destination, call) && affordsLosers(destination, call, parts.clock.now()),
    }),
  );
};

const endpointOf = (parts: DestinationParts): AttemptSend => {
  const { destination, clock, random, timeouts, usage, budget } = parts;
  const kit = kitOf(parts);
  const limits: ExchangeLimits = {
    idleTimeoutMs: timeouts.idleTimeoutMs,
    usage,
    onReplay: () => budget.charge(clock.now()),
    mayMove: (call, attempt) => mayMove(kit, (each) => hasUntried(destination, each), call, attempt),
  };
  const dispatch: EndpointSend = (call, attempt, candidate) => dispatchTo(call, attempt, candidate, limits);
  return pickEndpoint(destination, { clock, random }, dispatch);
};

/** Makes a front chain callable. */
export const assembleFront = ({ call, route }: FrontChain): Send => chain(call.map(stepOf), route.step);

/** Makes a rule's chain callable. */
export const assembleRule = ({ call, split }: RuleChain): Send => chain(call.map(stepOf), split.step);

/** Makes a destination's chain callable. */
export const assembleDestination = ({ call, attempts, attempt, endpoint }: DestinationChain): Send =>
  chain(call.map(stepOf), attempts.step(chain(attempt.map(stepOf), endpoint.step)));

/** Prints the steps of a chain, one line each, in the order in which a call meets them. */
export const describeChain = (front: FrontChain, rule: RuleChain, destination: DestinationChain | undefined): string =>
  [...front.call, front.route, ...rule.call, rule.split, ...(destination === undefined ? [] : linesOf(destination))]
    .map(({ name, because }) => `${name}: ${because}`)
    .join("\n");

const linesOf = ({ call, attempts, attempt, endpoint }: DestinationChain): readonly Line<unknown>[] => [
  ...call,
  attempts,
  ...attempt,
  endpoint,
];

/** The line of a feature that is used; none of one that is not. */
const step = <Step>(name: string, because: string, used: Step | undefined): readonly Line<Step>[] =>
  used === undefined ? [] : [line(name, because, used)];

const line = <Step>(name: string, because: string, step: Step): Line<Step> => ({ name, because, step });

const stepOf = <Step>({ step }: Line<Step>): Step => step;
