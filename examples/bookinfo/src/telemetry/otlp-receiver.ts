import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { CallLedger } from "./call-ledger.ts";
import { readMetricsExports } from "./otlp-metrics.ts";

/** A tiny OpenTelemetry collector for metrics: OTLP over HTTP in JSON, on loopback. */
export interface OtlpReceiver {
  /** What members get as `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string;
  /** Exports that could not be read, and why the last one could not. */
  readonly refused: { readonly count: number; readonly last: string | undefined };
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 2 * 1024 * 1024;

/** Receives the members' metrics and enters them into the ledger. */
export const startOtlpReceiver = async (ledger: CallLedger): Promise<OtlpReceiver> => {
  const refused = { count: 0, last: undefined as string | undefined };
  const server = createServer((request, response) => {
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    if (request.method !== "POST" || request.url !== "/v1/metrics") {
      request.resume();
      answer(404, { message: "only POST /v1/metrics is served here" });
      return;
    }
    readBody(request)
      .then((body) => {
        for (const received of readMetricsExports(JSON.parse(body))) ledger.enter(received);
        answer(200, {});
      })
      .catch((error: unknown) => {
        refused.count += 1;
        refused.last = String(error);
        answer(400, { message: String(error) });
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  // A server that listens on a port has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    refused,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

const readBody = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new RangeError(`an export is longer than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
};
