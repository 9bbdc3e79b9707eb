import type { EffectiveOutlierDetection } from "@tulle/policy";
import type { Random } from "@tulle/time";

/** How one call to an endpoint ended, to outlier detection. */
export type OutlierOutcome =
  | "success"
  /** An answer of 500 and above that is no gateway error. */
  | "server-error"
  /** 502, 503 or 504. */
  | "gateway-error"
  /** No answer: no connection, a reset, a timeout. */
  | "local-origin";

/** Why an endpoint was, or would have been, ejected. */
export type EjectionCause =
  | "consecutive-5xx"
  | "consecutive-gateway-errors"
  | "consecutive-local-origin-failures"
  | "success-rate"
  | "failure-percentage"
  /** The live call after an ejection failed. */
  | "failed-probe";

/** What outlier detection keeps of one endpoint. State; moved by the functions of this file. */
export interface OutlierRecord {
  /** Failures in a row, by kind. */
  consecutive5xx: number;
  consecutiveGatewayErrors: number;
  consecutiveLocalOriginFailures: number;
  /** Calls of this interval. */
  requests: number;
  successes: number;
  /** How often it was ejected, less one for each interval that it got through since. */
  ejections: number;
  /** Clock milliseconds; in the past, but not 0, it awaits its probe. 0: not ejected. */
  ejectedUntilMs: number;
  /** Whether the one live call is out that decides whether it is well again. */
  probing: boolean;
}

/** A decision about an endpoint, also one not to eject: an explanation and an event tell it. */
export type EjectionDecision = {
  readonly endpoint: string;
  readonly cause: EjectionCause;
} & (
  | { readonly ejected: true; readonly forMs: number }
  | {
      readonly ejected: false;
      readonly because: /** Nobody else would be left. */
      "last-endpoint" | /** As many as may be are ejected. */ "max-ejection-percent";
    }
);

/** An endpoint with its record. */
export interface Judged {
  readonly endpoint: { readonly id: string };
  readonly figures: { readonly outlier: OutlierRecord };
}

/** Nothing is held against an endpoint that was never called. */
export const newOutlierRecord = (): OutlierRecord => ({
  consecutive5xx: 0,
  consecutiveGatewayErrors: 0,
  consecutiveLocalOriginFailures: 0,
  requests: 0,
  successes: 0,
  ejections: 0,
  ejectedUntilMs: 0,
  probing: false,
});

/** Whether calls must go elsewhere while somebody else is left: ejected, or its probe is out. */
export const isEjected = (record: OutlierRecord, nowMs: number): boolean =>
  record.ejectedUntilMs !== 0 && (record.probing || nowMs < record.ejectedUntilMs);

/** A call goes to the endpoint. Returns whether it is the probe: the first one after the time of an ejection. */
export const beginCall = (record: OutlierRecord, nowMs: number): boolean => {
  if (record.ejectedUntilMs === 0 || record.probing || nowMs < record.ejectedUntilMs) return false;
  record.probing = true;
  return true;
};

/** Ends an ejection before its time, and forgets the failures that led to it. How often it was ejected is kept. */
export const uneject = (record: OutlierRecord): void => {
  if (record.ejectedUntilMs === 0) return;
  record.ejectedUntilMs = 0;
  record.probing = false;
  clearConsecutive(record);
};

/** A call came to an end that says nothing about the endpoint, such as its caller's abort: if it was the probe, the next call is. */
export const forgetProbe = (record: OutlierRecord, isProbe: boolean): void => {
  if (isProbe) record.probing = false;
};

/**
 * Takes in how a call ended. Calls to an endpoint that is out, other than its probe, count for nothing: they began before it
 * was ejected, or went there because nobody else was left.
 *
 * @param isProbe what {@link beginCall} said of the call.
 * @returns why the endpoint should be ejected, if it should.
 */
export const noteOutcome = (
  record: OutlierRecord,
  policy: EffectiveOutlierDetection,
  outcome: OutlierOutcome,
  isProbe: boolean,
): EjectionCause | undefined => {
  if (isProbe) {
    record.probing = false;
    if (outcome !== "success") return "failed-probe";
    record.ejectedUntilMs = 0;
    clearConsecutive(record);
  }
  if (isOut(record)) return undefined;
  record.requests++;
  if (outcome === "success") {
    record.successes++;
    clearConsecutive(record);
    return undefined;
  }
  if (outcome === "local-origin" && policy.splitLocalOriginErrors) {
    record.consecutiveLocalOriginFailures++;
    if (!reached(record.consecutiveLocalOriginFailures, policy.consecutiveLocalOriginFailures)) return undefined;
    record.consecutiveLocalOriginFailures = 0;
    return "consecutive-local-origin-failures";
  }
  record.consecutiveLocalOriginFailures = 0;
  record.consecutive5xx++;
  // What a failure without an answer is to a caller behind a proxy: a gateway error.
  if (outcome === "server-error") record.consecutiveGatewayErrors = 0;
  else record.consecutiveGatewayErrors++;
  // A count that was reached begins anew, so that an endpoint which may not be ejected is not judged at each of its failures.
  if (reached(record.consecutiveGatewayErrors, policy.consecutiveGatewayErrors)) {
    record.consecutiveGatewayErrors = 0;
    return "consecutive-gateway-errors";
  }
  if (!reached(record.consecutive5xx, policy.consecutive5xx)) return undefined;
  record.consecutive5xx = 0;
  return "consecutive-5xx";
};

/** Ejects an endpoint if the others allow it, and tells what was decided. */
export const eject = (
  { endpoint, figures: { outlier: record } }: Judged,
  all: readonly Judged[],
  policy: EffectiveOutlierDetection,
  cause: EjectionCause,
  nowMs: number,
  random: Random,
): EjectionDecision => {
  const decided = { endpoint: endpoint.id, cause } as const;
  const ejected = all.filter(({ figures }) => figures.outlier !== record && isOut(figures.outlier)).length;
  if (ejected + 1 >= all.length) return { ...decided, ejected: false, because: "last-endpoint" };
  if (ejected > 0 && ((ejected + 1) * 100) / all.length > policy.maxEjectionPercent) {
    return { ...decided, ejected: false, because: "max-ejection-percent" };
  }
  record.ejections++;
  const forMs =
    Math.min(policy.baseEjectionMs * record.ejections, policy.maxEjectionMs) + random() * policy.maxJitterMs;
  record.ejectedUntilMs = nowMs + forMs;
  record.probing = false;
  clearConsecutive(record);
  return { ...decided, ejected: true, forMs };
};

/**
 * The end of an interval: compares the success rates of those that were called enough, ejects the outliers, and begins the
 * next interval. Whoever got through an interval without an ejection is forgiven one.
 *
 * @param passed intervals since the last sweep; quiet ones forgive as well.
 */
export const sweep = (
  all: readonly Judged[],
  policy: EffectiveOutlierDetection,
  passed: number,
  nowMs: number,
  random: Random,
): readonly EjectionDecision[] => {
  const decisions: EjectionDecision[] = [];
  for (const { judged, cause } of outliersOf(all, policy)) {
    decisions.push(eject(judged, all, policy, cause, nowMs, random));
  }
  for (const { figures } of all) {
    const record = figures.outlier;
    if (!isOut(record)) record.ejections = Math.max(0, record.ejections - passed);
    record.requests = 0;
    record.successes = 0;
  }
  return decisions;
};

interface Outlier {
  readonly judged: Judged;
  readonly cause: EjectionCause;
}

const outliersOf = (all: readonly Judged[], policy: EffectiveOutlierDetection): readonly Outlier[] => {
  const { successRate, failurePercentage } = policy;
  const inside = all.filter(({ figures }) => !isOut(figures.outlier));
  const found = new Map<Judged, EjectionCause>();
  if (successRate !== undefined) {
    const compared = inside.filter(({ figures }) => figures.outlier.requests >= successRate.requestVolume);
    if (compared.length >= successRate.minimumHosts) {
      const limit = successRateLimit(compared.map(rateOf), successRate.stdevFactor);
      for (const judged of compared) if (rateOf(judged) < limit) found.set(judged, "success-rate");
    }
  }
  // With a window of its own each failure is judged at once, by the detector.
  if (failurePercentage !== undefined && failurePercentage.windowMs === undefined) {
    const compared = inside.filter(({ figures }) => figures.outlier.requests >= failurePercentage.requestVolume);
    if (compared.length >= failurePercentage.minimumHosts) {
      for (const judged of compared) {
        const fails = 100 * (1 - rateOf(judged)) >= failurePercentage.threshold;
        if (fails && !found.has(judged)) found.set(judged, "failure-percentage");
      }
    }
  }
  // The worst first: where not all may go, they go.
  return [...found].map(([judged, cause]) => ({ judged, cause })).sort((a, b) => rateOf(a.judged) - rateOf(b.judged));
};

/** The success rate, 0 to 1, below which an endpoint is an outlier: the mean less `factor` population standard deviations (Envoy). */
export const successRateLimit = (rates: readonly number[], factor: number): number => {
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
  return mean - factor * Math.sqrt(variance);
};

const rateOf = ({ figures: { outlier } }: Judged): number => outlier.successes / outlier.requests;

/** Ejected or awaiting its probe: it is not back yet. */
export const isOut = ({ ejectedUntilMs }: OutlierRecord): boolean => ejectedUntilMs !== 0;

const clearConsecutive = (record: OutlierRecord): void => {
  record.consecutive5xx = 0;
  record.consecutiveGatewayErrors = 0;
  record.consecutiveLocalOriginFailures = 0;
};

const reached = (count: number, threshold: number): boolean => threshold > 0 && count >= threshold;
