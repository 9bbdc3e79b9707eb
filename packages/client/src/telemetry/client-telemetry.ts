import {
  createNoopMeter,
  type Histogram,
  type MeterProvider,
  metrics,
  ProxyTracerProvider,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { DURATION_BOUNDS_SECONDS } from "@tulle/policy";

const SCOPE = "@tulle/client";

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
              advice: { explicitBucketBoundaries: [...DURATION_BOUNDS_SECONDS] },
            });
    }
    return this.#durations;
  }
}
