import {
  countOf,
  type ExponentialHistogram,
  emptyHistogram,
  histogramSince,
  mergeHistograms,
} from "./exponential-histogram.ts";
import type { HistogramSeries } from "./otlp-metrics.ts";

/** The calls from one service to another, as the calling members measured them. */
export interface Edge {
  readonly source: string;
  readonly destination: string;
  readonly requests: number;
  /** Calls without an answer, and those answered with 400 or above: where OpenTelemetry sets `error.type`. */
  readonly failures: number;
  /** Calls that were answered over anything but mTLS. */
  readonly unencrypted: number;
  /** Seconds. */
  readonly durations: ExponentialHistogram;
  /** Calls by the version of the endpoint that answered. */
  readonly versions: Readonly<Record<string, number>>;
}

/** The histogram that edges are made of. */
export const CALL_DURATION = "http.client.request.duration";

/** Adds up the series of all members by source and destination. */
export const edgesOf = (all: readonly HistogramSeries[]): readonly Edge[] => {
  const edges = new Map<string, Edge>();
  for (const series of all) {
    const call = readCall(series);
    if (call === undefined) continue;
    const key = keyOf(call);
    const known = edges.get(key);
    edges.set(key, known === undefined ? call : addEdges(known, call));
  }
  return [...edges.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
};

/** What is new since `earlier`. */
export const edgesSince = (later: readonly Edge[], earlier: readonly Edge[]): readonly Edge[] => {
  const before = new Map(earlier.map((edge) => [keyOf(edge), edge]));
  return later.map((edge) => {
    const old = before.get(keyOf(edge));
    if (old === undefined) return edge;
    return {
      ...edge,
      requests: edge.requests - old.requests,
      failures: edge.failures - old.failures,
      unencrypted: edge.unencrypted - old.unencrypted,
      durations: histogramSince(edge.durations, old.durations),
      versions: Object.fromEntries(
        Object.entries(edge.versions).map(([version, calls]) => [version, calls - (old.versions[version] ?? 0)]),
      ),
    };
  });
};

/** Whether there are calls, and every one that was answered was answered over mTLS. */
export const allMutualTls = (edges: readonly Edge[]): boolean =>
  edges.some((edge) => edge.requests > edge.failures) && edges.every((edge) => edge.unencrypted === 0);

const keyOf = ({ source, destination }: Pick<Edge, "source" | "destination">): string => `${source}\n${destination}`;

const addEdges = (a: Edge, b: Edge): Edge => {
  const versions: Record<string, number> = { ...a.versions };
  for (const [version, calls] of Object.entries(b.versions)) versions[version] = (versions[version] ?? 0) + calls;
  return {
    source: a.source,
    destination: a.destination,
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
    unencrypted: a.unencrypted + b.unencrypted,
    durations: mergeHistograms(a.durations, b.durations),
    versions,
  };
};

const readCall = ({ metric, attributes, histogram }: HistogramSeries): Edge | undefined => {
  const { "tulle.source": source, "tulle.destination": destination, "tulle.version": version } = attributes;
  if (metric !== CALL_DURATION || typeof source !== "string" || typeof destination !== "string") return undefined;
  const requests = countOf(histogram);
  const status = attributes["http.response.status_code"];
  const failed = attributes["error.type"] !== undefined || Number(status ?? 0) >= 400;
  const answered = status !== undefined;
  return {
    source,
    destination,
    requests,
    failures: failed ? requests : 0,
    unencrypted: answered && String(attributes["tulle.mtls"]) !== "true" ? requests : 0,
    durations: mergeHistograms(emptyHistogram, histogram),
    versions: typeof version === "string" ? { [version]: requests } : {},
  };
};
