import { type Duration, durationOr } from "./duration.ts";
import type { ServicePolicy } from "./service-policy.ts";

/** The circuit of a destination (service and subset). Counts gateway errors (502, 503, 504), failed connections and timeouts. */
export interface CircuitBreaker {
  /** Share of failures that opens it, in percent, above 0 to 100. @default 50 */
  readonly errorPercent?: number;
  /** Calls within the window below which it never opens. Range 1 to 1,000,000. @default 20 */
  readonly minimumVolume?: number;
  /** Range 100ms to 1h. @default "10s" */
  readonly window?: Duration;
  /** How long it stays open before one call probes the destination. Range 1ms to 1h. @default "5s" */
  readonly openFor?: Duration;
}

/** Share of failures that opens the circuit: 50 % (opossum, Hystrix). */
export const DEFAULT_ERROR_PERCENT = 50;

/** Calls below which it never opens: 20 (Hystrix); one failure alone must never open it. */
export const DEFAULT_MINIMUM_VOLUME = 20;

/** The time over which calls are counted: 10 s (opossum, Hystrix). */
export const DEFAULT_CIRCUIT_WINDOW_MS = 10_000;

/** How long it stays open before a probe: 5 s (Hystrix's sleep window). */
export const DEFAULT_OPEN_FOR_MS = 5_000;

/** A circuit breaker with every field filled in. */
export interface EffectiveCircuitBreaker {
  readonly errorPercent: number;
  readonly minimumVolume: number;
  readonly windowMs: number;
  readonly openForMs: number;
}

/** The circuit breaker of a service, or `undefined` when it is turned off. */
export const effectiveCircuitBreaker = (service: ServicePolicy): EffectiveCircuitBreaker | undefined => {
  if (service.circuitBreaker === false) return undefined;
  const { errorPercent, minimumVolume, window, openFor } = service.circuitBreaker ?? {};
  return {
    errorPercent: errorPercent ?? DEFAULT_ERROR_PERCENT,
    minimumVolume: minimumVolume ?? DEFAULT_MINIMUM_VOLUME,
    windowMs: durationOr(window, DEFAULT_CIRCUIT_WINDOW_MS),
    openForMs: durationOr(openFor, DEFAULT_OPEN_FOR_MS),
  };
};
