import { type EffectiveTimeouts, formatDuration, parseDuration } from "@tulle/policy";
import { type Clock, parseGrpcTimeoutMs, type Timer } from "@tulle/time";
import { headerOf } from "../call.ts";
import { failCall } from "../failure.ts";
import type { Call, Layer } from "../send.ts";

/** gRPC's header: how long its caller waits. */
export const GRPC_TIMEOUT_HEADER = "grpc-timeout";

/**
 * Gives the call one deadline, shared by all attempts: the earliest of the caller's, the visit's and the policy's. A limit
 * that somebody set for this call or this rule covers the body too, and `maxDuration` always does; the default and the visit's end
 * at the headers, so that server-sent events survive them.
 *
 * A `grpc-timeout` header is its caller's word like the option, and travels on as what is left of it. An upgraded connection is no
 * body: it may last as long as the application wants.
 */
export const enforceDeadline =
  (timeouts: EffectiveTimeouts, clock: Clock): Layer =>
  (next) =>
  (call) => {
    const { startedAtMs } = call;
    const grpcMs = takeGrpcTimeout(call);
    const wantedMs = limitOf(call.options.timeout) ?? grpcMs;
    const limits: Limits = {
      limitMs: wantedMs ?? timeouts.timeoutMs,
      // A delay that a policy injects is no part of the rule's own limit, as in Envoy, but of its caller's patience.
      ownMs: startedAtMs + (wantedMs ?? timeouts.timeoutMs + call.injectedDelayMs),
      maxMs: startedAtMs + timeouts.maxDurationMs,
      inheritedMs: call.inherited?.deadlineMs ?? Number.POSITIVE_INFINITY,
    };
    call.deadlineMs = Math.min(limits.ownMs, limits.maxMs, limits.inheritedMs);
    if (call.deadlineMs === Number.POSITIVE_INFINITY) return next(call);

    const remainingMs = call.deadlineMs - clock.now();
    if (remainingMs <= 0) return Promise.reject(spent(call, limits));

    const coversBody = wantedMs !== undefined || timeouts.covers === "whole";
    const bodyMs = coversBody ? Math.min(limits.ownMs, limits.maxMs) : limits.maxMs;
    const endAt = (atMs: number, afterMs: number): Timer =>
      clock.after(afterMs, () => call.cancel.cancel(exceeded(call, limits, atMs)));
    const timer = endAt(call.deadlineMs, remainingMs);
    return next(call).then(
      (reply) => {
        if (bodyMs === Number.POSITIVE_INFINITY || reply.upgraded !== undefined) {
          timer.cancel();
        } else if (bodyMs === call.deadlineMs) {
          reply.onDone(() => timer.cancel());
        } else {
          timer.cancel();
          const bodyTimer = endAt(bodyMs, bodyMs - clock.now());
          reply.onDone(() => bodyTimer.cancel());
        }
        return reply;
      },
      (error: unknown) => {
        timer.cancel();
        throw error;
      },
    );
  };

/** Until when a call may last, by whose word. */
interface Limits {
  /** The caller's or the policy's limit, as it was written. */
  readonly limitMs: number;
  /** When it ends. */
  readonly ownMs: number;
  readonly maxMs: number;
  readonly inheritedMs: number;
}

/** Both names that tell a gRPC call are of this length, so that nearly all headers are dismissed by a number. */
const GRPC_NAME_LENGTH = GRPC_TIMEOUT_HEADER.length;

/** Notes whether it is a gRPC call, and takes its own timeout off what is sent: each attempt writes what is left. */
const takeGrpcTimeout = (call: Call): number | undefined => {
  const { sentHeaders } = call;
  let written: string | undefined;
  for (let at = 0; at + 1 < sentHeaders.length; at += 2) {
    const name = sentHeaders[at];
    if (name?.length !== GRPC_NAME_LENGTH) continue;
    const lowerCase = name.toLowerCase();
    if (lowerCase === GRPC_TIMEOUT_HEADER) written = sentHeaders[at + 1];
    else if (lowerCase === "content-type" && sentHeaders[at + 1]?.startsWith("application/grpc") === true)
      call.isGrpc = true;
  }
  const timeoutMs = written === undefined ? undefined : parseGrpcTimeoutMs(written);
  if (timeoutMs === undefined) return undefined;
  call.isGrpc = true;
  call.sentHeaders = sentHeaders.filter((_, at) => sentHeaders[at - (at % 2)]?.toLowerCase() !== GRPC_TIMEOUT_HEADER);
  return timeoutMs;
};

/** When a call must be over by its caller's and its visit's word alone, before any policy is known. */
export const ownDeadlineOf = ({ options, inherited, startedAtMs, headers }: Call): number =>
  Math.min(
    startedAtMs + (limitOf(options.timeout) ?? grpcTimeoutOf(headers) ?? Number.POSITIVE_INFINITY),
    inherited?.deadlineMs ?? Number.POSITIVE_INFINITY,
  );

const grpcTimeoutOf = (headers: readonly string[]): number | undefined => {
  const written = headerOf(headers, GRPC_TIMEOUT_HEADER);
  return written === undefined ? undefined : parseGrpcTimeoutMs(written);
};

/** A limit as callers write it, where 0 turns it off. `undefined`: they said nothing. */
export const limitOf = (written: string | number | undefined): number | undefined => {
  if (written === undefined) return undefined;
  const ms = typeof written === "number" ? written : parseDuration(written);
  return ms > 0 ? ms : Number.POSITIVE_INFINITY;
};

const spent = (call: Call, { inheritedMs }: Limits): Error =>
  call.deadlineMs === inheritedMs
    ? failCall(call, "DEADLINE_SPENT", "the visit that makes this call had no time left when it began")
    : failCall(call, "DEADLINE_EXCEEDED", "the call's time ran out before its first attempt");

const exceeded = (call: Call, { limitMs, maxMs, inheritedMs }: Limits, atMs: number): Error => {
  const ranMs = Math.round(atMs - call.startedAtMs);
  if (atMs === maxMs) {
    return failCall(
      call,
      "MAX_DURATION_EXCEEDED",
      `the call with its body took longer than the ${formatDuration(ranMs)} of maxDuration`,
    );
  }
  return failCall(
    call,
    "DEADLINE_EXCEEDED",
    atMs === inheritedMs
      ? `the visit that makes this call ran out of time ${ranMs} ms after the call began`
      : `the call took longer than its ${formatDuration(limitMs)}`,
  );
};
