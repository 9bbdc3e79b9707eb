import type { EffectiveHedge } from "@tulle/policy";
import { type Timer, whileHeld } from "@tulle/time";
import { beginAttempt } from "../call.ts";
import type { Reply } from "../reply.ts";
import {
  affords,
  beginFurther,
  isPlainSuccess,
  mayRepeat,
  noteLimit,
  type Outcome,
  rulesFor,
  settle,
} from "../retry/attempt-outcome.ts";
import { isWholeBody, releaseBody } from "../retry/replay-body.ts";
import { askedDelay, retryDelay } from "../retry/retry-delay.ts";
import type { RetryRules } from "../retry/retry-rules.ts";
import { isIdempotent } from "../retry/retryable.ts";
import { AttemptSuperseded } from "../retry/superseded.ts";
import type { Attempt, AttemptSend, AttemptsLayer, Call } from "../send.ts";
import { type RetryKit, repeat, retry } from "./retry.ts";

/** What {@link hedge} is made of: it retries as well. */
export interface HedgeKit extends RetryKit {
  readonly hedge: EffectiveHedge;
  /** Whether the destination has an endpoint that the call was not sent to, and bears the loss of a loser's connection. */
  readonly hasUntried: (call: Call) => boolean;
}

/** A destination that answers within less is not hedged earlier (Finagle): 1 ms. */
const MIN_DELAY_MS = 1;

/**
 * Asks a further endpoint when the answer is late, and at once after a failure that the retry's conditions name (gRPC A6). The
 * first answer that none of them names is the reply; the other attempts are given up on the wire. Hedges are drawn from the
 * retry budget, and a loser whose request was sent costs once more, for its socket goes with it. A hedge counts as a retry: once all
 * attempts have failed, the retries that are left go on with their back-off.
 *
 * Calls that must not be sent twice are retried only: by method, by a body that is not whole in memory, by a visit that is itself a
 * retry, and while too few answers are known to tell what is late.
 */
export const hedge = (kit: HedgeKit): AttemptsLayer => {
  const retrying = retry(kit);
  return (next) => {
    const unhedged = retrying(next);
    return (call) => {
      const delayMs = mayHedge(kit, call) ? hedgeDelay(kit, call.startedAtMs) : undefined;
      if (delayMs === undefined) return unhedged(call);
      kit.budget.deposit(call.startedAtMs);
      return new Promise((resolve, reject) => new HedgedCall(kit, next, call, delayMs, resolve, reject).begin());
    };
  };
};

const mayHedge = (
  { hedge: { nonIdempotent } }: HedgeKit,
  { options, inherited, method, headers, upgrade }: Call,
): boolean =>
  // An upgrade begins a conversation, which nobody wants twice.
  upgrade === undefined &&
  options.hedge !== false &&
  options.retry !== false &&
  options.retry !== 0 &&
  inherited?.isRetry !== true &&
  (nonIdempotent || isIdempotent(method, headers));

/** How long an answer may take before it is late; `undefined` while nobody knows. */
const hedgeDelay = ({ hedge: { after }, latency }: HedgeKit, nowMs: number): number | undefined => {
  if ("delayMs" in after) return after.delayMs;
  const quantileMs = latency.quantile(after.quantile, nowMs);
  return quantileMs === undefined ? undefined : Math.max(MIN_DELAY_MS, quantileMs);
};

interface Ended {
  readonly attempt: Attempt;
  readonly outcome: Outcome;
  /** Whether the retry's conditions name it. */
  readonly repeatable: boolean;
}

/** One call with all attempts that are under way for it. */
class HedgedCall {
  readonly #kit: HedgeKit;
  readonly #next: AttemptSend;
  readonly #call: Call;
  readonly #delayMs: number;
  readonly #rules: RetryRules | undefined;
  readonly #resolve: (reply: Reply | Promise<Reply>) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #running = new Set<Attempt>();
  #hedgesLeft: number;
  #timer: Timer | undefined;
  #letGo: (() => void) | undefined;
  #stopListening: (() => void) | undefined;
  /** The failure that the caller would get now. */
  #last: Ended | undefined;
  #over = false;

  constructor(
    kit: HedgeKit,
    next: AttemptSend,
    call: Call,
    delayMs: number,
    resolve: (reply: Reply | Promise<Reply>) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#kit = kit;
    this.#next = next;
    this.#call = call;
    this.#delayMs = delayMs;
    this.#rules = rulesFor(kit, call);
    this.#resolve = resolve;
    this.#reject = reject;
    this.#hedgesLeft = kit.hedge.attempts;
  }

  begin(): void {
    this.#start(beginAttempt(this.#call, this.#call.startedAtMs));
    this.#stopListening = this.#call.cancel.onCancel(() => this.#givenUp());
    this.#arm(this.#delayMs);
  }

  #start(attempt: Attempt): void {
    this.#running.add(attempt);
    this.#next(this.#call, attempt).then(
      (reply) => this.#ended(attempt, { reply, failure: undefined }),
      (failure: unknown) => this.#ended(attempt, { reply: undefined, failure }),
    );
  }

  #ended(attempt: Attempt, outcome: Outcome): void {
    const { clock, latency } = this.#kit;
    const call = this.#call;
    const nowMs = clock.now();
    attempt.durationMs = nowMs - attempt.startedAtMs;
    this.#running.delete(attempt);
    const { reply } = outcome;
    if (this.#over) {
      // Given up too late: its answer was there already.
      reply?.discard();
      return;
    }
    const rules = this.#rules;
    if (reply !== undefined && isPlainSuccess(reply, rules)) {
      latency.record(attempt.durationMs, nowMs);
      call.noRetry = undefined;
      releaseBody(call.body);
      this.#finish(attempt, () => reply);
      return;
    }
    const repeatable = rules !== undefined && mayRepeat(this.#kit, rules, call, attempt, outcome);
    if (reply !== undefined && !repeatable && attempt.progress !== "refused") {
      this.#finish(attempt, () => settle(call, attempt, outcome));
      return;
    }
    this.#remember({ attempt, outcome, repeatable });
    if (repeatable) this.#heed(outcome.reply);
    else this.#hedgeNoMore();
    if (this.#running.size === 0 && this.#timer === undefined) this.#fail();
  }

  /** Keeps what the caller would rather hear: a reply or a failure of the network before a refusal of our own. */
  #remember(ended: Ended): void {
    const before = this.#last;
    if (before?.repeatable === true && !ended.repeatable && !this.#call.cancel.cancelled) {
      ended.outcome.reply?.discard();
      return;
    }
    before?.outcome.reply?.discard();
    this.#last = ended;
  }

  /** A failure that may be repeated begins the next hedge, at once or when the server says so. */
  #heed(reply: Reply | undefined): void {
    if (this.#hedgesLeft === 0) return;
    const { clock, random } = this.#kit;
    const asked = reply === undefined ? undefined : askedDelay(reply, clock.wallNow());
    this.#disarm();
    if (asked === undefined) {
      this.#hedge(0);
      return;
    }
    const delayMs = retryDelay({ backoffBaseMs: 0, backoffMaxMs: 0 }, 1, asked, random);
    if (delayMs === undefined) this.#hedgesLeft = 0;
    else if (clock.now() + delayMs < this.#call.deadlineMs) this.#arm(delayMs);
  }

  #arm(delayMs: number): void {
    if (this.#hedgesLeft === 0 || this.#over || this.#call.cancel.cancelled) return;
    this.#timer = this.#kit.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#letGo?.();
      this.#hedge(delayMs);
      if (this.#running.size === 0 && this.#timer === undefined && !this.#over) this.#fail();
    });
    // While an attempt is under way its socket keeps the process alive.
    if (this.#running.size === 0) {
      void whileHeld(
        new Promise<void>((resolve) => {
          this.#letGo = resolve;
        }),
      );
    }
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#letGo?.();
  }

  /** A failure that nothing can be done about: the attempts that are under way are the last. */
  #hedgeNoMore(): void {
    this.#hedgesLeft = 0;
    this.#disarm();
  }

  /** The call was given up: its attempts end by themselves, but a wait between them does not. */
  #givenUp(): void {
    this.#hedgeNoMore();
    if (this.#running.size === 0 && !this.#over) this.#fail();
  }

  #hedge(waitedMs: number): void {
    const kit = this.#kit;
    const call = this.#call;
    if (
      call.cancel.cancelled ||
      !isWholeBody(call.body, call.replayable) ||
      !kit.hasUntried(call) ||
      !affords(kit, call, 0)
    ) {
      // What stands in the way now will hardly go while the call lasts.
      this.#hedgesLeft = 0;
      return;
    }
    this.#hedgesLeft--;
    kit.counters.retries++;
    kit.counters.hedges++;
    this.#start(beginFurther(call, kit.clock.now(), waitedMs));
    this.#arm(this.#delayMs);
  }

  /** Every attempt has failed and no hedge is left: the retries that are left go on. */
  #fail(): void {
    const call = this.#call;
    const rules = this.#rules;
    const last = this.#last;
    if (last === undefined) {
      // Only a call that was given up before its first attempt ended comes here, and that attempt will end.
      return;
    }
    const { attempt, outcome, repeatable } = last;
    if (call.cancel.cancelled) {
      outcome.reply?.discard();
      this.#finish(attempt, () => settle(call, attempt, { reply: undefined, failure: call.cancel.reason }));
      return;
    }
    const left = (rules?.retries ?? 0) - (call.attempts.length - 1);
    if (rules === undefined || !repeatable || left <= 0) {
      if (repeatable) noteLimit(call);
      this.#finish(attempt, () => settle(call, attempt, outcome));
      return;
    }
    this.#finish(attempt, () => repeat(this.#kit, rules, this.#next, call, attempt, outcome, left));
  }

  /** Gives up all other attempts, and hands on what came of the call. */
  #finish(winner: Attempt, result: () => Reply | Promise<Reply>): void {
    this.#over = true;
    this.#disarm();
    this.#stopListening?.();
    if (this.#last !== undefined && this.#last.attempt !== winner) this.#last.outcome.reply?.discard();
    const { clock, budget, latency, counters } = this.#kit;
    for (const loser of this.#running) {
      const nowMs = clock.now();
      loser.durationMs = nowMs - loser.startedAtMs;
      // It would have taken at least that long; without it only the quick half of the answers would be known.
      latency.record(loser.durationMs, nowMs);
      if (loser.progress !== "not-sent") budget.charge(nowMs);
      counters.hedgesCancelled++;
      loser.code ??= "SUPERSEDED";
      loser.abort?.(new AttemptSuperseded(winner.number));
    }
    try {
      this.#resolve(result());
    } catch (error) {
      this.#reject(error);
    }
  }
}
