import { isMeshError, type MeshErrorCode } from "@tulle/policy";
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

/** What a failure says of the endpoint; `undefined`: nothing, for it is the caller's doing or the mesh's own. */
export const outcomeOfError = (error: unknown): OutlierOutcome | undefined =>
  isMeshError(error) && localOrigin.has(error.code) ? "local-origin" : undefined;
