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

/** Failures below HTTP: they speak of the one endpoint, as long as its siblings can be reached. */
const unreachableCodes: ReadonlySet<MeshErrorCode> = new Set<MeshErrorCode>([
  "CONNECT_FAILED",
  "CONNECTION_TERMINATED",
  "IDENTITY_MISMATCH",
]);

/** Whether an endpoint could not be reached, or its connection broke before it answered. */
export const isUnreachable = (error: unknown): boolean => isMeshError(error) && unreachableCodes.has(error.code);

/**
 * Whether an attempt's error counts as a failure of the destination. Neutral ones do not: aborts, overflows,
 * NO_HEALTHY_ENDPOINT, and an endpoint that alone of its siblings cannot be reached. The death of one of two instances would
 * otherwise open the circuit of a service that serves well, if it came when few calls had been made.
 */
export const isFailure = (error: unknown, attempt: Attempt): boolean =>
  isMeshError(error) && failureCodes.has(error.code) && !attempt.isolated;
