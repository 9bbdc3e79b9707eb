import { grpcStatuses, isMeshError, type MeshErrorCode } from "@tulle/policy";
import type { OutlierOutcome } from "./outlier-ejection.ts";

/** Failures without an answer that speak of the endpoint: no connection, a broken one, or no answer in time. */
const localOrigin: ReadonlySet<MeshErrorCode> = new Set<MeshErrorCode>([
  "CONNECT_FAILED",
  "IDENTITY_MISMATCH",
  "CONNECTION_TERMINATED",
  "REPLY_BROKEN",
  "ATTEMPT_TIMEOUT",
  "DEADLINE_EXCEEDED",
]);

/** What an answer says of its endpoint. */
export const outcomeOfStatus = (status: number): OutlierOutcome => {
  if (status < 500) return "success";
  return status >= 502 && status <= 504 ? "gateway-error" : "server-error";
};

/**
 * What an answer in gRPC says of its endpoint, by the HTTP status that stands for its `grpc-status` (Envoy); `undefined` where it
 * names none.
 *
 * @param fields the reply's headers or its trailers.
 */
export const outcomeOfGrpc = (
  fields: Readonly<Record<string, string | string[] | undefined>> | undefined,
): OutlierOutcome | undefined => {
  const code = fields?.["grpc-status"];
  if (typeof code !== "string" || code === "") return undefined;
  return outcomeOfStatus(httpByGrpcCode.get(code) ?? (code === "0" ? 200 : 500));
};

const httpByGrpcCode: ReadonlyMap<string, number> = new Map(
  Object.values(grpcStatuses).map(({ code, http }) => [String(code), http]),
);

/** What a failure says of the endpoint; `undefined`: nothing, for it is the caller's doing or the mesh's own. */
export const outcomeOfError = (error: unknown): OutlierOutcome | undefined =>
  isMeshError(error) && localOrigin.has(error.code) ? "local-origin" : undefined;
