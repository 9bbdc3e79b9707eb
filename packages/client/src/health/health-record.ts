import type { EffectiveHealthCheck } from "@tulle/policy";

/** How one health check ended. */
export type CheckResult =
  | "passed"
  /** Passed, and the endpoint said that it is degraded. */
  | "degraded"
  /** No connection, no answer in time, or an answer that counts as a failure: enough of them in a row make unhealthy. */
  | "failed"
  /** An answer that says that the endpoint is not well. */
  | "unhealthy";

/** What health checks have said of one endpoint. State; moved by {@link noteCheck}. */
export interface HealthRecord {
  state: /** Nobody checks it. */
    | "unchecked"
    /** Its first check is not over. */
    | "pending"
    | "healthy"
    | "unhealthy";
  /** Whether it said so in its last check. */
  degraded: boolean;
  /** Checks in a row that ended otherwise than the state says. */
  contrary: number;
}

/** Of an endpoint that nobody checks nothing is known. */
export const newHealthRecord = (): HealthRecord => ({ state: "unchecked", degraded: false, contrary: 0 });

/** The endpoint is checked from now on. */
export const beginChecks = (record: HealthRecord): void => {
  if (record.state === "unchecked") record.state = "pending";
};

/** The endpoint is not checked any more. */
export const endChecks = (record: HealthRecord): void => {
  Object.assign(record, newHealthRecord());
};

/** Takes in how a check ended. The first one decides by itself. Answers whether that changed what calls see. */
export const noteCheck = (
  record: HealthRecord,
  { unhealthyThreshold, healthyThreshold }: Pick<EffectiveHealthCheck, "unhealthyThreshold" | "healthyThreshold">,
  result: CheckResult,
): boolean => {
  const { state, degraded } = record;
  const passed = result === "passed" || result === "degraded";
  if (passed) record.degraded = result === "degraded";
  if (passed === (state === "healthy") && state !== "pending") record.contrary = 0;
  else record.contrary++;
  const needed = passed ? healthyThreshold : unhealthyThreshold;
  if (state === "pending" || result === "unhealthy" || record.contrary >= needed) {
    record.state = passed ? "healthy" : "unhealthy";
    record.contrary = 0;
  }
  return record.state !== state || record.degraded !== degraded;
};
