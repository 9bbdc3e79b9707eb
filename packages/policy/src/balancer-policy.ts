import { type Duration, durationOr } from "./duration.ts";
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
  | { readonly algorithm: "round-robin" }
  /** Not supported yet. */
  | {
      readonly algorithm: "least-request" | "random" | "ring-hash" | "maglev" | "weighted-round-robin" | "prequal";
    };

/** How fast an old latency is forgotten: 10 s (Linkerd). */
export const DEFAULT_DECAY_MS = 10_000;

/** What an endpoint without figures is assumed to take: 30 ms (Linkerd). */
export const DEFAULT_RTT_MS = 30;

/** A balancer that this version has, with every field filled in. */
export type EffectiveBalancer =
  | { readonly algorithm: "peak-ewma"; readonly decayMs: number; readonly defaultRttMs: number }
  | { readonly algorithm: "round-robin" };

/**
 * The balancer of a service.
 *
 * @throws RangeError for an algorithm that is not supported yet; `checkPolicies` refuses it before.
 */
export const effectiveBalancer = (service: ServicePolicy): EffectiveBalancer => {
  const balancer = service.balancer ?? { algorithm: "peak-ewma" };
  switch (balancer.algorithm) {
    case "peak-ewma":
      return {
        algorithm: "peak-ewma",
        decayMs: durationOr(balancer.decay, DEFAULT_DECAY_MS),
        defaultRttMs: durationOr(balancer.defaultRtt, DEFAULT_RTT_MS),
      };
    case "round-robin":
      return { algorithm: "round-robin" };
    default:
      throw new RangeError(`the balancer "${balancer.algorithm}" of service ${service.name} is not supported yet`);
  }
};
