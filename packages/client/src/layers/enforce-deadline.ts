import { type EffectiveTimeouts, formatDuration, parseDuration } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { failCall } from "../failure.ts";
import type { Call, Layer } from "../send.ts";

/**
 * Gives the call one deadline, shared by all attempts: the earliest of the caller's, the visit's and the policy's. A limit
 * that somebody set for this call or this rule covers the body too; the default and the visit's end at the headers, so that
 * server-sent events survive them.
 */
export const enforceDeadline =
  (timeouts: EffectiveTimeouts, clock: Clock): Layer =>
  (next) =>
  (call) => {
    const wantedMs = limitOf(call.options.timeout);
    const limitMs = wantedMs ?? timeouts.timeoutMs;
    const inheritedMs = call.inherited?.deadlineMs ?? Number.POSITIVE_INFINITY;
    // A delay on purpose is no part of the rule's patience (Envoy), but of the caller's.
    const fromMs = wantedMs === undefined ? call.startedAtMs + call.injectedDelayMs : call.startedAtMs;
    call.deadlineMs = Math.min(fromMs + limitMs, inheritedMs);
    if (call.deadlineMs === Number.POSITIVE_INFINITY) return next(call);

    const remainingMs = call.deadlineMs - clock.now();
    if (remainingMs <= 0) return Promise.reject(spent(call, inheritedMs));

    const wholeBody = (wantedMs !== undefined || timeouts.covers === "whole") && call.deadlineMs < inheritedMs;
    const timer = clock.after(remainingMs, () => call.cancel.cancel(exceeded(call, inheritedMs, limitMs)));
    return next(call).then(
      (reply) => {
        // An upgraded connection is no body: it may last as long as the application wants.
        if (wholeBody && reply.upgraded === undefined) reply.onDone(() => timer.cancel());
        else timer.cancel();
        return reply;
      },
      (error: unknown) => {
        timer.cancel();
        throw error;
      },
    );
  };

/** When a call must be over by its caller's and its visit's word alone, before any policy is known. */
export const ownDeadlineOf = ({ options, inherited, startedAtMs }: Call): number =>
  Math.min(
    startedAtMs + (limitOf(options.timeout) ?? Number.POSITIVE_INFINITY),
    inherited?.deadlineMs ?? Number.POSITIVE_INFINITY,
  );

/** A limit as callers write it, where 0 turns it off. `undefined`: they said nothing. */
export const limitOf = (written: string | number | undefined): number | undefined => {
  if (written === undefined) return undefined;
  const ms = typeof written === "number" ? written : parseDuration(written);
  return ms > 0 ? ms : Number.POSITIVE_INFINITY;
};

const spent = (call: Call, inheritedMs: number): Error =>
  call.deadlineMs === inheritedMs
    ? failCall(call, "DEADLINE_SPENT", "the visit that makes this call had no time left when it began")
    : failCall(call, "DEADLINE_EXCEEDED", "the call's time ran out before its first attempt");

const exceeded = (call: Call, inheritedMs: number, limitMs: number): Error =>
  failCall(
    call,
    "DEADLINE_EXCEEDED",
    call.deadlineMs === inheritedMs
      ? `the visit that makes this call ran out of time ${Math.round(call.deadlineMs - call.startedAtMs)} ms after the call began`
      : `the call took longer than its ${formatDuration(limitMs)}`,
  );
