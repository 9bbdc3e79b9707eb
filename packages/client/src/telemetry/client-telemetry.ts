import {
  createNoopMeter,
  type Histogram,
  type MeterProvider,
  metrics,
  ProxyTracerProvider,
  type Tracer,
  trace,
} from "@opentelemetry/api";

const SCOPE = "@tulle/client";

/** Bounds that the semantic conventions advise for durations, seconds. */
const DURATION_BOUNDS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** What the API's proxy delegates to while no SDK has registered: the same object in every proxy. */
const noTracerProvider = new ProxyTracerProvider().getDelegate();

/**
 * Finds out whether anybody listens, at the cost of two comparisons per call, so that nothing is computed for nobody. An SDK
 * that registers later is noticed at the next call: the API's tracer provider is a proxy that gets a delegate, and its meter
 * provider is another object from then on.
 */
export class ClientTelemetry {
  #tracer: Tracer | undefined;
  #meterProvider: MeterProvider | undefined;
  #durations: Histogram | undefined;

  /** The tracer, or `undefined` while no SDK traces. */
  get tracer(): Tracer | undefined {
    const provider = trace.getTracerProvider();
    if (provider instanceof ProxyTracerProvider && provider.getDelegate() === noTracerProvider) return undefined;
    this.#tracer ??= trace.getTracer(SCOPE);
    return this.#tracer;
  }

  /** `http.client.request.duration`, or `undefined` while no SDK measures. */
  get durations(): Histogram | undefined {
    const provider = metrics.getMeterProvider();
    if (provider !== this.#meterProvider) {
      this.#meterProvider = provider;
      const meter = provider.getMeter(SCOPE);
      this.#durations =
        meter === createNoopMeter()
          ? undefined
          : meter.createHistogram("http.client.request.duration", {
              description: "Duration of HTTP client requests, with all attempts, to the end of the body.",
              unit: "s",
              advice: { explicitBucketBoundaries: DURATION_BOUNDS_SECONDS },
            });
    }
    return this.#durations;
  }
}
