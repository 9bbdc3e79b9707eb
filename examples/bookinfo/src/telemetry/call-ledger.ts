import { type Edge, edgesOf, edgesSince } from "./edges.ts";
import { countOf } from "./exponential-histogram.ts";
import type { HistogramSeries, MetricsExport } from "./otlp-metrics.ts";

/** The histogram of the side that is called. */
const VISIT_DURATION = "http.server.request.duration";
const MAX_INSTANCES = 256;
const MAX_SERIES_PER_INSTANCE = 1_000;

/**
 * What all members have measured, the latest export of each process. A process that ended keeps its last figures: its
 * calls were made. A restarted one starts from zero under another instance id.
 */
export class CallLedger {
  readonly #instances = new Map<string, readonly HistogramSeries[]>();
  readonly #collectedAtMs = new Map<string, number>();
  /** Edges as they were, oldest first. */
  #past: EdgesAt[] = [];
  #dropped = 0;

  /** Takes a process's latest figures in place of its earlier ones. */
  enter({ instance, series }: MetricsExport): void {
    if (!this.#instances.has(instance) && this.#instances.size >= MAX_INSTANCES) {
      this.#dropped += 1;
      return;
    }
    if (series.length > MAX_SERIES_PER_INSTANCE) this.#dropped += series.length - MAX_SERIES_PER_INSTANCE;
    this.#instances.set(instance, series.slice(0, MAX_SERIES_PER_INSTANCE));
    this.#collectedAtMs.set(instance, Math.max(0, ...series.map(({ atMs }) => atMs)));
  }

  /** Processes and series beyond the bounds, whose figures are missing. */
  get dropped(): number {
    return this.#dropped;
  }

  /** When the figures of a process were collected, milliseconds since 1970; 0 for one that has not exported. */
  collectedAtMs(instance: string): number {
    return this.#collectedAtMs.get(instance) ?? 0;
  }

  /** All calls since the start. */
  total(): readonly Edge[] {
    return edgesOf([...this.#instances.values()].flat());
  }

  /** Visits that processes have had, of those whose instance begins so, as they measured them. */
  visitsTo(instances: string): number {
    const series = [...this.#instances].flatMap(([instance, all]) => (instance.startsWith(instances) ? all : []));
    return series
      .filter(({ metric }) => metric === VISIT_DURATION)
      .reduce((sum, { histogram }) => sum + countOf(histogram), 0);
  }

  /** What was measured so far is not recent any more. */
  beginWindow(nowMs: number): void {
    this.#past = [{ atMs: nowMs, edges: this.total() }];
  }

  /** The calls of about the last `windowMs`: since the last moment before, of those at which this was asked; at most since the window began. */
  recent(nowMs: number, windowMs: number): RecentEdges {
    const edges = this.total();
    this.#past.push({ atMs: nowMs, edges });
    while ((this.#past[1]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs - windowMs) this.#past.shift();
    const first = this.#past[0] ?? { atMs: nowMs, edges };
    return { edges: edgesSince(edges, first.edges), windowMs: nowMs - first.atMs };
  }
}

interface EdgesAt {
  readonly atMs: number;
  readonly edges: readonly Edge[];
}

/** The calls of a window, and how long it really was. */
export interface RecentEdges {
  readonly edges: readonly Edge[];
  readonly windowMs: number;
}
