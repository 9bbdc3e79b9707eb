import { type CircuitFailure, type EffectiveCircuitBreaker, isMeshError, type MeshErrorCode } from "@tulle/policy";
import type { Reply } from "../reply.ts";
import type { Attempt } from "../send.ts";

/** What counts as a failure, ready to be asked. */
export interface CountedFailures {
  readonly statuses: ReadonlySet<number>;
  /** Everything else is the caller's doing, the mesh's own, or not counted, and teaches nothing. */
  readonly codes: ReadonlySet<MeshErrorCode>;
}

const statusesOf: Readonly<Partial<Record<CircuitFailure, readonly number[]>>> = {
  "gateway-error": [502, 503, 504],
  "5xx": Array.from({ length: 100 }, (_, place) => 500 + place),
};

const codesOf: Readonly<Partial<Record<CircuitFailure, readonly MeshErrorCode[]>>> = {
  "connect-failure": ["CONNECT_FAILED", "IDENTITY_MISMATCH"],
  reset: ["CONNECTION_TERMINATED", "REPLY_BROKEN"],
  "attempt-timeout": ["ATTEMPT_TIMEOUT"],
  timeout: ["DEADLINE_EXCEEDED"],
};

/** Compiles what a policy counts, so that an outcome is only looked up. */
export const compileFailures = ({
  failures,
  statuses,
}: Pick<EffectiveCircuitBreaker, "failures" | "statuses">): CountedFailures => ({
  statuses: new Set([...statuses, ...failures.flatMap((failure) => statusesOf[failure] ?? [])]),
  codes: new Set(failures.flatMap((failure) => codesOf[failure] ?? [])),
});

/** Whether a reply counts as a failure. A gate's refusal does not: it comes from an instance that drains or knows its rules. */
export const isFailedReply = (counted: CountedFailures, reply: Reply, attempt: Attempt): boolean =>
  counted.statuses.has(reply.status) && attempt.progress !== "refused";

/** Failures below HTTP: they speak of the one endpoint, as long as its siblings can be reached. */
const unreachableCodes: ReadonlySet<MeshErrorCode> = new Set<MeshErrorCode>([
  "CONNECT_FAILED",
  "CONNECTION_TERMINATED",
  "IDENTITY_MISMATCH",
]);

/** Whether an endpoint could not be reached, or its connection broke before it answered. */
export const isUnreachable = (error: unknown): boolean => isMeshError(error) && unreachableCodes.has(error.code);

/**
 * Whether an attempt's error counts as a failure of the destination. Neutral ones do not: aborts, OVERFLOW,
 * NO_HEALTHY_ENDPOINT, a stream that was refused, and an endpoint that alone of its siblings cannot be reached. The death of one of two instances would
 * otherwise open the circuit of a service that serves well, if it came when few calls had been made.
 */
export const isFailure = (counted: CountedFailures, error: unknown, attempt: Attempt): boolean =>
  isMeshError(error) && counted.codes.has(error.code) && !attempt.isolated && attempt.progress !== "refused";
