import { type Duration, durationOr, parseDuration } from "./duration.ts";
import type { ServicePolicy } from "./service-policy.ts";

/** How an endpoint is chosen. */
export type Balancer =
  /** Two random endpoints, the one with less `latency × (in flight + 1)` wins. The default (Linkerd, Finagle). */
  | {
      readonly algorithm: "peak-ewma";
      /** How fast an old latency is forgotten. Range 1ms to 1h. @default "10s" */
      readonly decay?: Duration;
      /** The latency assumed of an endpoint that has answered nothing yet. Range 0s to 1m. @default "30ms" */
      readonly defaultRtt?: Duration;
    }
  /** One after the other; endpoints of different weights by their weights, evenly spaced. */
  | { readonly algorithm: "round-robin" }
  /**
   * The fewest calls in flight among some that chance chose. Sets of up to three endpoints are compared whole. Where weights
   * differ: turns by `weight / (in flight + 1) ^ activeRequestBias` (Envoy).
   */
  | {
      readonly algorithm: "least-request";
      /** Endpoints that are compared. Range 2 to 100. @default 2 (Envoy, gRPC) */
      readonly choiceCount?: number;
      /** `full-scan` compares all. @default "n-choices" (Envoy) */
      readonly selection?: "n-choices" | "full-scan";
      /** How much calls in flight count against a weight. Range 0 to 10. @default 1 (Envoy) */
      readonly activeRequestBias?: number;
    }
  /** By chance and weight. */
  | { readonly algorithm: "random" }
  /** Not supported yet. */
  | { readonly algorithm: "ring-hash" | "maglev" | "weighted-round-robin" | "prequal" };

/** A newcomer's, or a recovered endpoint's, way to its whole share of calls. */
export interface SlowStart {
  /** Time until it has its whole share. Range 1s to 1h. */
  readonly window: Duration;
  /** 1: the share grows evenly; above 1 faster at first. Range 0.1 to 10. @default 1 (Envoy) */
  readonly aggression?: number;
  /** The share that it begins with. Range 0 to 100. @default 10 (Envoy) */
  readonly minimumPercent?: number;
}

/** How fast an old latency is forgotten: 10 s (Linkerd). */
export const DEFAULT_DECAY_MS = 10_000;

/** What an endpoint without figures is assumed to take: 30 ms (Linkerd). */
export const DEFAULT_RTT_MS = 30;

/** Endpoints that least request compares: 2 (Envoy, gRPC). */
export const DEFAULT_CHOICE_COUNT = 2;

/** How much calls in flight count against a weight: 1 (Envoy). */
export const DEFAULT_ACTIVE_REQUEST_BIAS = 1;

/** How evenly a slow start goes: 1 (Envoy). */
export const DEFAULT_SLOW_START_AGGRESSION = 1;

/** The share that a slow start begins with: 10 % (Envoy). */
export const DEFAULT_SLOW_START_PERCENT = 10;

/** A slow start with every field filled in. */
export interface EffectiveSlowStart {
  readonly windowMs: number;
  readonly aggression: number;
  /** 0 to 1. */
  readonly minimumShare: number;
}

/** A balancer that this version has, with every field filled in. `slowStart` is `undefined` where it is off. */
export type EffectiveBalancer = { readonly slowStart?: EffectiveSlowStart } & (
  | { readonly algorithm: "peak-ewma"; readonly decayMs: number; readonly defaultRttMs: number }
  | { readonly algorithm: "round-robin" }
  | {
      readonly algorithm: "least-request";
      readonly choiceCount: number;
      readonly selection: "n-choices" | "full-scan";
      readonly activeRequestBias: number;
    }
  | { readonly algorithm: "random" }
);

/**
 * The balancer of a service.
 *
 * @throws RangeError for an algorithm that is not supported yet; `checkPolicies` refuses it before.
 */
export const effectiveBalancer = (service: ServicePolicy): EffectiveBalancer => {
  const slowStart = service.slowStart === undefined ? {} : { slowStart: effectiveSlowStart(service.slowStart) };
  const balancer = service.balancer ?? { algorithm: "peak-ewma" };
  switch (balancer.algorithm) {
    case "peak-ewma":
      return {
        algorithm: "peak-ewma",
        decayMs: durationOr(balancer.decay, DEFAULT_DECAY_MS),
        defaultRttMs: durationOr(balancer.defaultRtt, DEFAULT_RTT_MS),
        ...slowStart,
      };
    case "least-request":
      return {
        algorithm: "least-request",
        choiceCount: balancer.choiceCount ?? DEFAULT_CHOICE_COUNT,
        selection: balancer.selection ?? "n-choices",
        activeRequestBias: balancer.activeRequestBias ?? DEFAULT_ACTIVE_REQUEST_BIAS,
        ...slowStart,
      };
    case "round-robin":
    case "random":
      return { algorithm: balancer.algorithm, ...slowStart };
    default:
      throw new RangeError(`the balancer "${balancer.algorithm}" of service ${service.name} is not supported yet`);
  }
};

const effectiveSlowStart = ({ window, aggression, minimumPercent }: SlowStart): EffectiveSlowStart => ({
  windowMs: parseDuration(window),
  aggression: aggression ?? DEFAULT_SLOW_START_AGGRESSION,
  minimumShare: (minimumPercent ?? DEFAULT_SLOW_START_PERCENT) / 100,
});
