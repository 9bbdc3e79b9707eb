import { allMutualTls, type Edge } from "./edges.ts";
import { quantile } from "./exponential-histogram.ts";

/** What the load generator counted itself: pages as a stranger's browser saw them. */
export interface LoadFigures {
  readonly requests: number;
  readonly failures: number;
}

/** The object that `--json` prints. */
export interface RunReport {
  /** Pages asked for. */
  readonly requests: number;
  /** Pages that failed, and calls between members that failed: also one that no page showed. */
  readonly failures: number;
  /** Whether every answered call between members was answered over mTLS, by the callers' telemetry. */
  readonly mtls: boolean;
  /** The policy revision at the end. */
  readonly revision: string;
  readonly edges: readonly EdgeReport[];
}

export interface EdgeReport {
  readonly source: string;
  readonly destination: string;
  readonly requests: number;
  readonly failures: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Calls by the version that answered. */
  readonly versions: Readonly<Record<string, number>>;
}

/** Puts the figures of a run together. */
export const runReport = (load: LoadFigures, edges: readonly Edge[], revision: string): RunReport => ({
  requests: load.requests,
  failures: edges.reduce((sum, edge) => sum + edge.failures, load.failures),
  mtls: allMutualTls(edges),
  revision,
  edges: edges.map((edge) => ({
    source: edge.source,
    destination: edge.destination,
    requests: edge.requests,
    failures: edge.failures,
    p50Ms: milliseconds(edge, 0.5),
    p99Ms: milliseconds(edge, 0.99),
    versions: edge.versions,
  })),
});

/** A quantile of an edge's durations in milliseconds, to two digits behind the point; `null` without calls. */
export const milliseconds = (edge: Edge, q: number): number | null => {
  const seconds = quantile(edge.durations, q);
  return seconds === undefined ? null : Math.round(seconds * 100_000) / 100;
};
