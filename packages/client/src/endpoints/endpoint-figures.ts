import type { PeakEwma } from "@tulle/time";
import { type HealthRecord, newHealthRecord } from "../health/health-record.ts";
import { newOutlierRecord, type OutlierRecord } from "./outlier-ejection.ts";
import { newReachability, type Reachability } from "./probation.ts";

/**
 * What a client has learned of one endpoint. State: written by the picker of the service, kept as long as the endpoint keeps
 * its id and address, whatever policy does.
 */
export interface EndpointFigures {
  /** Calls that were sent to it and have not ended. */
  inFlight: number;
  /** Calls that ended. */
  answered: number;
  /** Calls that ended in a failure. */
  failed: number;
  /** Written by the pick layer. */
  readonly reach: Reachability;
  /** Written by outlier detection. */
  readonly outlier: OutlierRecord;
  /** Written by health checks. */
  readonly health: HealthRecord;
  /** Clock milliseconds until which it is degraded, by its own word in a reply. Written by the endpoint set. */
  degradedUntilMs: number;
  /** Clock milliseconds since which the registry has not heard of it; `undefined`: it has. Written by the endpoint set. */
  staleSinceMs: number | undefined;
  /** Clock milliseconds from which it counts as gone, because it was stale for too long. Written by the endpoint set. */
  expiresAtMs: number;
  /** Whether `rtt` comes from a measurement. */
  measured: boolean;
  readonly rtt: PeakEwma;
  /** Clock milliseconds since which it is known, or back from trouble: a slow start begins here. */
  readonly joinedAtMs: number;
}

/** Figures of an endpoint that has not been called. */
export const newFigures = (nowMs: number): EndpointFigures => ({
  inFlight: 0,
  answered: 0,
  failed: 0,
  reach: newReachability(),
  outlier: newOutlierRecord(),
  health: newHealthRecord(),
  degradedUntilMs: Number.NEGATIVE_INFINITY,
  staleSinceMs: undefined,
  expiresAtMs: Number.POSITIVE_INFINITY,
  measured: false,
  rtt: { costMs: 0, stampMs: nowMs },
  joinedAtMs: nowMs,
});
