import type { EventEmitter } from "node:events";
import type { MeshCall } from "../call.ts";
import { undici } from "../transport/undici.ts";

/** What undici takes as a signal. */
export type Signal = AbortSignal | EventEmitter;

/** Gives the call up when the signal says so. Returns the way to stop listening, if there is more to hear. */
export const followSignal = (signal: Signal, call: MeshCall): (() => void) | undefined => {
  if (isAborted(signal)) {
    call.cancel.cancel(reasonOf(signal));
    return undefined;
  }
  const onAbort = (): void => call.cancel.cancel(reasonOf(signal));
  if ("addEventListener" in signal) {
    signal.addEventListener("abort", onAbort, { once: true });
    return () => signal.removeEventListener("abort", onAbort);
  }
  signal.once("abort", onAbort);
  return () => signal.removeListener("abort", onAbort);
};

/** Whether the signal has spoken. */
export const isAborted = (signal: Signal): boolean => "aborted" in signal && signal.aborted === true;

/** Why a call is given up: emitters other than an `AbortSignal` may have no reason. */
export const reasonOf = (signal: Signal): unknown =>
  ("reason" in signal ? signal.reason : undefined) ?? new undici.errors.RequestAbortedError();
