/** What a member says of how busy it is. Each figure may be missing: an old member tells fewer, a fresh one knows less. */
export interface LoadReport {
  /** Share of what it can do that it does, from 0; ORCA's `application_utilization`. */
  readonly utilization?: number;
  /** Answers per second, to all callers. */
  readonly qps?: number;
  /** Errors per second, to all callers. */
  readonly eps?: number;
  /** Requests in flight, of all callers. */
  readonly inFlight?: number;
  /** Median latency of recent requests that arrived at or near that number in flight, milliseconds. */
  readonly latencyMs?: number;
}

/** A longer one is none of a member's. */
const MAX_LENGTH = 1_024;

const fields: Readonly<Record<string, keyof LoadReport>> = {
  application_utilization: "utilization",
  rps_fractional: "qps",
  eps: "eps",
  "named_metrics.rif": "inFlight",
  "named_metrics.latency_ms": "latencyMs",
};

/** Reads ORCA's text format; `undefined` for anything else. Figures that are none, or below 0, are left out. */
export const parseLoadReport = (text: string): LoadReport | undefined => {
  if (text.length > MAX_LENGTH || !text.startsWith("TEXT ")) return undefined;
  const report: { -readonly [Field in keyof LoadReport]: LoadReport[Field] } = {};
  for (const part of text.slice("TEXT ".length).split(",")) {
    const at = part.indexOf("=");
    const name = part.slice(0, at).trim();
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (at < 0 || field === undefined) continue;
    const written = part.slice(at + 1).trim();
    const value = written === "" ? Number.NaN : Number(written);
    if (value >= 0 && value < Number.POSITIVE_INFINITY) report[field] = value;
  }
  return report;
};
