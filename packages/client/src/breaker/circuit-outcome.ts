import { isMeshError, type MeshErrorCode } from "@tulle/policy";
import type { Reply } from "../reply.ts";
import type { Attempt } from "../send.ts";

/** What a destination answers through a gateway, or as one: it is not able to serve. */
const gatewayErrors: ReadonlySet<number> = new Set([502, 503, 504]);

/** Failed connections and timeouts. Everything else is the caller's doing, or the mesh's own, and says nothing of the destination. */
const failureCodes: ReadonlySet<MeshErrorCode> = new Set<MeshErrorCode>([
  "CONNECT_FAILED",
  "CONNECTION_TERMINATED",
  "IDENTITY_MISMATCH",
  "REPLY_BROKEN",
  "ATTEMPT_TIMEOUT",
  "DEADLINE_EXCEEDED",
]);

/** Whether a reply counts as a failure. A gate's refusal does not: it comes from an instance that drains or knows its rules. */
export const isFailedReply = (reply: Reply, attempt: Attempt): boolean =>
  gatewayErrors.has(reply.status) && attempt.progress !== "refused";

/** Whether an error counts as a failure. Neutral ones (aborts, OVERFLOW, NO_HEALTHY_ENDPOINT) do not. */
export const isFailure = (error: unknown): boolean => isMeshError(error) && failureCodes.has(error.code);
