import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { TLSSocket } from "node:tls";
import { type EffectiveGrpcCheck, MAX_HEALTH_CHECK_BYTES } from "@tulle/policy";
import type { Connect } from "../transport/connector.ts";
import { DEGRADED_HEADER } from "../transport/control-headers.ts";
import { GRPC_HEALTH_PATH, healthQuestion, readHealthAnswer } from "./grpc-health.ts";
import type { CheckResult } from "./health-record.ts";

/**
 * Asks once in gRPC's health checking protocol, over a new connection in HTTP/2. Whoever answers anything but SERVING is unhealthy;
 * whoever does not answer has failed.
 */
export const checkGrpc = async (
  connect: Connect,
  check: EffectiveGrpcCheck,
  signal: AbortSignal,
): Promise<CheckResult> => {
  const { promise, resolve } = Promise.withResolvers<CheckResult>();
  let session: ClientHttp2Session | undefined;
  const giveUp = (): void => resolve("failed");
  signal.addEventListener("abort", giveUp, { once: true });
  connect(undefined, (error, socket) => {
    if (
      error !== null ||
      socket === null ||
      signal.aborted ||
      (socket instanceof TLSSocket && socket.alpnProtocol !== "h2")
    ) {
      socket?.destroy();
      resolve("failed");
      return;
    }
    // The scheme is said with the request; the authority here is for names of TLS, which the connector has settled.
    session = connectHttp2("http://health.check", { createConnection: () => socket, settings: { enablePush: false } });
    session.on("error", giveUp);
    session.once("close", giveUp);
    ask(session, socket instanceof TLSSocket ? "https" : "http", check, resolve);
  });
  const result = await promise;
  signal.removeEventListener("abort", giveUp);
  session?.destroy();
  return result;
};

const ask = (
  session: ClientHttp2Session,
  scheme: string,
  { service, authority }: EffectiveGrpcCheck,
  conclude: (result: CheckResult) => void,
): void => {
  const stream = session.request({
    ":method": "POST",
    ":scheme": scheme,
    ":authority": authority,
    ":path": GRPC_HEALTH_PATH,
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": "tulle-health-check",
  });
  let fields: Readonly<Record<string, unknown>> | undefined;
  let read = Buffer.alloc(0);
  stream.on("error", () => conclude("failed"));
  stream.on("response", (headers) => {
    fields = { ...headers };
  });
  stream.on("trailers", (trailers) => {
    fields = { ...fields, ...trailers };
  });
  stream.on("data", (chunk: Buffer) => {
    read = Buffer.concat([read, chunk.subarray(0, MAX_HEALTH_CHECK_BYTES + 1 - read.length)]);
    if (read.length > MAX_HEALTH_CHECK_BYTES) conclude("unhealthy");
  });
  stream.on("close", () => conclude(fields === undefined ? "failed" : verdictOf(fields, read)));
  stream.end(healthQuestion(service));
};

const verdictOf = (fields: Readonly<Record<string, unknown>>, message: Buffer): CheckResult => {
  if (fields[":status"] !== 200) return "unhealthy";
  // A call without a status is one that did not end.
  if (fields["grpc-status"] === undefined) return "failed";
  if (fields["grpc-status"] !== "0" || readHealthAnswer(message) !== "SERVING") return "unhealthy";
  return fields[DEGRADED_HEADER] === undefined ? "passed" : "degraded";
};
