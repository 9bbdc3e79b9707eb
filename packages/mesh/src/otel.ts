import { NodeSDK, type NodeSDKConfiguration } from "@opentelemetry/sdk-node";

/** How the ready-made telemetry is started. All of sdk-node's own options pass through. */
export interface TelemetryOptions extends Partial<NodeSDKConfiguration> {
  /** @default OTEL_SERVICE_NAME, else TULLE_SERVICE */
  readonly serviceName?: string;
}

/** Running telemetry. */
export interface Telemetry extends AsyncDisposable {
  /** Exports what is left and stops. */
  shutdown(): Promise<void>;
}

/**
 * Starts `@opentelemetry/sdk-node`, so that the mesh's spans and histograms have somewhere to go. Exporters come from the
 * `OTEL_*` variables of the OpenTelemetry specification unless they are handed in. Call it before the mesh is joined;
 * instrumentation that would double the mesh's own client spans is left off unless asked for.
 */
export const startTelemetry = (options: TelemetryOptions = {}): Telemetry => {
  const { serviceName = process.env.OTEL_SERVICE_NAME ?? process.env.TULLE_SERVICE, ...rest } = options;
  const sdk = new NodeSDK({
    instrumentations: [],
    ...rest,
    ...(serviceName === undefined ? {} : { serviceName }),
  });
  sdk.start();
  const shutdown = (): Promise<void> => sdk.shutdown();
  return { shutdown, [Symbol.asyncDispose]: shutdown };
};
