import type { LoadReport } from "./load-report.ts";

/** How reports become weights, with every field filled in. */
export interface WeightRules {
  readonly blackoutMs: number;
  readonly expirationMs: number;
  readonly errorPenalty: number;
}

/** `qps / (utilization + eps / qps × penalty)` (gRPC A58); `undefined` where the report does not tell enough. */
export const weightOfReport = (
  { qps = 0, eps = 0, utilization = 0 }: LoadReport,
  errorPenalty: number,
): number | undefined => {
  if (qps <= 0 || utilization <= 0) return undefined;
  return qps / (utilization + (eps / qps) * errorPenalty);
};

/** The weight of one endpoint by its reports. */
export class ReportedWeight {
  #weight = 0;
  #reportingSinceMs = Number.POSITIVE_INFINITY;
  #lastMs = Number.NEGATIVE_INFINITY;

  note(report: LoadReport, nowMs: number, { errorPenalty }: WeightRules): void {
    const weight = weightOfReport(report, errorPenalty);
    if (weight === undefined) return;
    if (this.#reportingSinceMs === Number.POSITIVE_INFINITY) this.#reportingSinceMs = nowMs;
    this.#lastMs = nowMs;
    this.#weight = weight;
  }

  /** `undefined` while it has not reported for the blackout, and when its last report is too old; then the blackout begins anew. */
  at(nowMs: number, { blackoutMs, expirationMs }: WeightRules): number | undefined {
    if (nowMs - this.#lastMs >= expirationMs) {
      this.#reportingSinceMs = Number.POSITIVE_INFINITY;
      return undefined;
    }
    return nowMs - this.#reportingSinceMs < blackoutMs ? undefined : this.#weight;
  }
}
