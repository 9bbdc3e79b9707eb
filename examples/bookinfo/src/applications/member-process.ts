import { AggregationType } from "@opentelemetry/sdk-metrics";
import type { MeshListener, MeshListenOptions } from "tulle";
import { startTelemetry } from "tulle/otel";

/** What a process tells whoever started it, once it serves. */
export interface ListeningMessage {
  readonly type: "listening";
  readonly healthPort: number | undefined;
  readonly publicPorts: readonly number[];
}

/** Long enough to drain; after it a process that lost its launcher ends all the same. */
const ORPHAN_LIMIT_MS = 10_000;

/**
 * Where every process of the example listens: on free ports of loopback, a health port beside the mesh's, and with a drain that
 * keeps nobody waiting at Ctrl-C. A service on a real network leaves `host` out.
 */
export const onLoopback: MeshListenOptions = {
  host: "127.0.0.1",
  port: 0,
  servicePort: 80,
  health: { host: "127.0.0.1", port: 0 },
  drainTimeout: "2s",
};

/** Eight processes start on whatever machine this is, and compete for it: more patience than the default. */
export const readyTimeout = "30s";

/**
 * Starts OpenTelemetry by the `OTEL_*` variables. The durations of calls are exponential histograms, so that whoever reads
 * them can tell quantiles to a few percent, whatever their size.
 */
export const startMemberTelemetry = (): void => {
  startTelemetry({
    views: [
      { instrumentName: "http.client.request.duration", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } },
      { instrumentName: "http.server.request.duration", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } },
    ],
  });
};

/** Tells the launcher, if there is one, where this process listens; and ends this process when the launcher has died. */
export const reportTo = (launcher: Pick<NodeJS.Process, "send" | "once" | "channel">, listener: MeshListener): void => {
  const message: ListeningMessage = {
    type: "listening",
    healthPort: listener.healthPort,
    publicPorts: listener.publicPorts,
  };
  if (launcher.send === undefined) {
    console.log(JSON.stringify(message));
    return;
  }
  launcher.once("disconnect", () => {
    process.kill(process.pid, "SIGTERM");
    setTimeout(() => process.exit(1), ORPHAN_LIMIT_MS).unref();
  });
  // Listening to the launcher must not keep a process alive that has left the mesh.
  launcher.channel?.unref();
  launcher.send(message);
};

/** Who answered, shown on the page. */
export interface ServedBy {
  readonly instance: string;
  readonly version: string;
}

/** This process, as it signs its answers. */
export const servedBy = (version: string): ServedBy => ({
  instance: process.env.TULLE_INSTANCE_ID ?? String(process.pid),
  version,
});
