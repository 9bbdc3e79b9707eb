import type { ExponentialHistogram } from "./exponential-histogram.ts";

/** One series of an exported histogram: what one process measured under one set of attributes since it started. */
export interface HistogramSeries {
  readonly metric: string;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly histogram: ExponentialHistogram;
  /** When it was collected, milliseconds since 1970. */
  readonly atMs: number;
}

/** What one process exported at once. */
export interface MetricsExport {
  /** `service.instance.id`: one process, so a restarted one counts anew under another id. */
  readonly instance: string;
  readonly series: readonly HistogramSeries[];
}

/**
 * Reads an OTLP `ExportMetricsServiceRequest` in its JSON form, exponential histograms only; other metrics are passed over.
 *
 * @throws TypeError when the body has another shape.
 */
export const readMetricsExports = (body: unknown): readonly MetricsExport[] =>
  list(field(body, "resourceMetrics")).map((resource) => {
    const { "service.instance.id": instance } = attributesOf(field(resource, "resource"));
    if (typeof instance !== "string") throw new TypeError("the resource has no service.instance.id");
    const metrics = list(field(resource, "scopeMetrics")).flatMap((scope) => list(field(scope, "metrics")));
    return { instance, series: metrics.flatMap(seriesOf) };
  });

const seriesOf = (metric: unknown): readonly HistogramSeries[] => {
  const name = field(metric, "name");
  if (typeof name !== "string") throw new TypeError("a metric has no name");
  return list(field(field(metric, "exponentialHistogram"), "dataPoints")).map((point) => {
    const positive = field(point, "positive");
    return {
      metric: name,
      attributes: attributesOf(point),
      histogram: {
        scale: number(field(point, "scale")),
        zeroCount: number(field(point, "zeroCount")),
        offset: number(field(positive, "offset")),
        counts: list(field(positive, "bucketCounts")).map(number),
      },
      atMs: number(field(point, "timeUnixNano")) / 1e6,
    };
  });
};

const attributesOf = (holder: unknown): Record<string, string | number | boolean> => {
  const attributes: Record<string, string | number | boolean> = {};
  for (const attribute of list(field(holder, "attributes"))) {
    const key = field(attribute, "key");
    const value = field(attribute, "value");
    if (typeof key !== "string") throw new TypeError("an attribute has no key");
    const text = field(value, "stringValue");
    const truth = field(value, "boolValue");
    if (typeof text === "string") attributes[key] = text;
    else if (typeof truth === "boolean") attributes[key] = truth;
    else attributes[key] = number(field(value, "intValue") ?? field(value, "doubleValue"));
  }
  return attributes;
};

const field = (holder: unknown, name: string): unknown =>
  typeof holder === "object" && holder !== null ? Reflect.get(holder, name) : undefined;

const list = (value: unknown): readonly unknown[] => {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new TypeError("a list was expected");
  return value;
};

/** 64-bit integers are strings in OTLP's JSON; a default is left out. */
const number = (value: unknown): number => {
  const read = Number(value ?? 0);
  if (!Number.isFinite(read)) throw new TypeError(`${String(value)} is no number`);
  return read;
};
