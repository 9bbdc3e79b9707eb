import { type CompiledFault, type EffectiveFaultAbort, grpcStatuses, isGrpc } from "@tulle/policy";
import { type Clock, type Random, whileHeld } from "@tulle/time";
import { answerCall } from "../answer-call.ts";
import { headerOf } from "../call.ts";
import { failCall } from "../failure.ts";
import type { Reply } from "../reply.ts";
import type { Call, Layer } from "../send.ts";
import { ownDeadlineOf } from "./enforce-deadline.ts";

/** What fault injection tells; totals over the life of the client. */
export interface FaultCounters {
  /** Calls that were held up. */
  faultDelays: number;
  /** Calls that were answered instead of being sent. */
  faultAborts: number;
  /** Calls that passed unharmed because as many as the policy allows were under a fault. */
  faultsOverLimit: number;
}

/** The calls that are held up now, by the rule that does it; outlives the rules, so that an apply frees no places. */
export class HeldCalls {
  readonly #byRule = new Map<string, number>();
  readonly #calls = new Set<Call>();
  #closed = false;

  /** Takes a place of a rule. Tells whether there was one. */
  enter(rule: string, call: Call, max: number): boolean {
    const now = this.#byRule.get(rule) ?? 0;
    if (now >= max || this.#closed) return false;
    this.#byRule.set(rule, now + 1);
    this.#calls.add(call);
    return true;
  }

  leave(rule: string, call: Call): void {
    this.#calls.delete(call);
    const left = (this.#byRule.get(rule) ?? 1) - 1;
    if (left === 0) this.#byRule.delete(rule);
    else this.#byRule.set(rule, left);
  }

  /** How many calls are held up. */
  get size(): number {
    return this.#calls.size;
  }

  /** Gives up the calls that are held up: nobody waits an hour for a mesh that was left. */
  close(): void {
    this.#closed = true;
    for (const call of [...this.#calls]) {
      call.cancel.cancel(failCall(call, "MESH_CLOSED", "the mesh was left while a fault held the call up"));
    }
  }
}

/** What {@link injectFault} is made of. */
export interface FaultKit {
  /** The rule's name, unique in the client. */
  readonly rule: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly held: HeldCalls;
  readonly counters: FaultCounters;
}

/**
 * Delays and aborts calls on purpose, as Envoy's fault filter does: first the delay, then the abort. The delay ends with the
 * caller's abort, and with the caller's and the visit's deadline; the rule's own timeout begins after it.
 */
export const injectFault =
  (fault: CompiledFault, kit: FaultKit): Layer =>
  (next) =>
  (call) => {
    if (!fault.concerns((name) => headerOf(call.headers, name))) return next(call);
    const drawn = fault.draw(kit.random);
    if (drawn === undefined) return next(call);
    if (!kit.held.enter(kit.rule, call, fault.maxActive)) {
      kit.counters.faultsOverLimit++;
      return next(call);
    }
    const { delayMs, abort } = drawn;
    if (delayMs > 0)
      return delay(kit, call, delayMs).then(() => (abort === undefined ? next(call) : answer(kit, call, abort)));
    kit.held.leave(kit.rule, call);
    return abort === undefined ? next(call) : answer(kit, call, abort);
  };

const delay = async ({ clock, counters, held, rule }: FaultKit, call: Call, delayMs: number): Promise<void> => {
  counters.faultDelays++;
  const beganMs = clock.now();
  try {
    await whileHeld(wait(clock, call, delayMs));
  } finally {
    held.leave(rule, call);
    call.injectedDelayMs = clock.now() - beganMs;
  }
};

const wait = (clock: Clock, call: Call, delayMs: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const leftMs = ownDeadlineOf(call) - clock.now();
    const timer = clock.after(Math.min(delayMs, Math.max(0, leftMs)), () => {
      if (delayMs < leftMs) {
        stop();
        resolve();
      } else {
        // Heard by the listener below as well, which rejects.
        call.cancel.cancel(failCall(call, "DEADLINE_EXCEEDED", "the call's time ran out while a fault held it up"));
      }
    });
    const stop = call.cancel.onCancel((reason) => {
      timer.cancel();
      reject(reason);
    });
  });

/** What Envoy says. */
const ABORT_TEXT = "fault filter abort";

const answer = ({ counters }: FaultKit, call: Call, { status, grpcStatus }: EffectiveFaultAbort): Promise<Reply> => {
  counters.faultAborts++;
  call.injectedAbort = true;
  if (isGrpc(headerOf(call.headers, "content-type"))) {
    const code = String(grpcStatuses[grpcStatus].code);
    const headers = ["content-type", "application/grpc", "grpc-status", code, "grpc-message", ABORT_TEXT];
    return answerCall(call, `fault abort ${grpcStatus}`, { status: 200, headers });
  }
  const headers = ["content-type", "text/plain"];
  return answerCall(call, `fault abort ${status}`, { status, headers, body: Buffer.from(ABORT_TEXT) });
};
