import { AsyncResource } from "node:async_hooks";
import { EventEmitter } from "node:events";
import { type EffectiveCircuitBreaker, formatDuration, MeshError } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import CircuitBreaker from "opossum";
import type { Reply } from "../reply.ts";
import type { Attempt, AttemptSend, Call } from "../send.ts";
import { type CountedFailures, compileFailures, isFailedReply, isFailure } from "./circuit-outcome.ts";
import { type Probe, Probing } from "./probing.ts";

/** Whether calls pass. Half-open: as many as the policy says probe the destination, and no others pass. */
export type CircuitState = "closed" | "open" | "half-open";

/** A circuit for telemetry and explanations. */
export interface CircuitDescription {
  readonly name: string;
  readonly scope: "destination" | "rule";
  /** What opens it, in words: `50 % of at least 20 calls in 10s, or 5 failures in a row`. */
  readonly opensAt: string;
  readonly state: CircuitState;
  /** Failures in a row until now, where the policy asks for it. */
  readonly inARow: number;
  /** Calls and failures within the window. */
  readonly calls: number;
  readonly failures: number;
  /** Wall clock, milliseconds since 1970; `undefined` while closed. */
  readonly openedAtMs: number | undefined;
  /** When the next probe may pass, milliseconds since 1970; `undefined` while closed. */
  readonly probeAtMs: number | undefined;
  /** Calls that were refused since the circuit was made. */
  readonly rejected: number;
  /** How often it opened. */
  readonly openings: number;
}

/** The circuit of a destination, or of a rule's way to it: refuses calls at once while the destination is known to fail. */
export interface Circuit {
  readonly state: CircuitState;
  /**
   * Sends the attempt and learns from how it ends.
   *
   * @throws MeshError CIRCUIT_OPEN, without sending, while the circuit is open, or half-open with its probes under way.
   */
  run(call: Call, attempt: Attempt, send: AttemptSend): Promise<Reply>;
  describe(): CircuitDescription;
  /** Ends its timers; calls pass unwatched from then on. */
  close(): void;
}

/** What makes a circuit. */
export interface CircuitOptions {
  /** Destination, for errors: `default/reviews:v1`, with its rule where the circuit is a rule's. */
  readonly name: string;
  readonly policy: EffectiveCircuitBreaker;
  readonly clock: Clock;
  /** Told of each change of state. */
  readonly onChange?: (state: CircuitState) => void;
}

/** Longest time that a half-open circuit waits for its probe where the call has no deadline: 30 s. */
export const PROBE_LIMIT_MS = 30_000;

const BUCKETS = 10;

/** opossum opens above its threshold, the policy at its threshold. */
const THRESHOLD_EPSILON = 0.001;

/** A share of failures that is never reached. */
const NO_THRESHOLD = 101;

/** Makes a closed circuit. */
export const createCircuit = (options: CircuitOptions): Circuit => new FencedCircuit(options);

/**
 * opossum, fenced. It keeps the window, the states and the time that the circuit stays open; what it does not do well, or not
 * at all, is done around it:
 * - A result of a call that began before the circuit opened would close or reopen it: each opening gets a fresh instance,
 *   and the old one, shut down, hears of its late results alone.
 * - It knows one probe, no neutral outcome, and a probe that never settles would lock it: probes are counted here, and it is
 *   told to close or open by what they come to.
 * - It knows no failures in a row: they are counted here, and it is told to open.
 * - It keeps every latency of the window even when nobody asks: the buckets get a list that keeps nothing.
 * - It times out, aborts and limits concurrency with consequences for innocent calls: all of that is off; the mesh has its own.
 */
class FencedCircuit implements Circuit {
  readonly #name: string;
  readonly #policy: EffectiveCircuitBreaker;
  readonly #counted: CountedFailures;
  readonly #clock: Clock;
  readonly #onChange: ((state: CircuitState) => void) | undefined;
  /** Timers outlive the call that opened the circuit and must not keep its context. */
  readonly #home = new AsyncResource("tulle.circuit");
  readonly #bucketMs: number;
  #breaker: Breaker;
  #rotor = new EventEmitter();
  #bucketStartMs: number;
  #state: CircuitState = "closed";
  #openForMs: number;
  #openedAtMs: number | undefined;
  #rejection: MeshError | undefined;
  #probing: Probing | undefined;
  #inARow = 0;
  #rejected = 0;
  #openings = 0;
  #closed = false;

  constructor({ name, policy, clock, onChange }: CircuitOptions) {
    this.#name = name;
    this.#policy = policy;
    this.#counted = compileFailures(policy);
    this.#clock = clock;
    this.#onChange = onChange;
    this.#bucketMs = policy.windowMs / BUCKETS;
    this.#bucketStartMs = clock.now();
    this.#openForMs = policy.openForMs;
    this.#breaker = this.#fresh("closed");
  }

  get state(): CircuitState {
    return this.#state;
  }

  run(call: Call, attempt: Attempt, send: AttemptSend): Promise<Reply> {
    if (this.#closed) return send(call, attempt);
    // Asked here and not of opossum: it counts refused calls as calls, which dilutes the share of failures.
    if (this.#state === "closed") {
      this.#rotate(this.#clock.now());
      return this.#breaker.fire(call, attempt, send).then(undefined, replyOrThrow);
    }
    return this.#probing?.hasRoom === true
      ? this.#probe(this.#probing, call, attempt, send)
      : Promise.reject(this.#reject());
  }

  describe(): CircuitDescription {
    this.#rotate(this.#clock.now());
    const { fires, failures } = this.#breaker.status.stats;
    return {
      name: this.#name,
      scope: this.#policy.scope,
      opensAt: wordsOf(this.#policy),
      state: this.#state,
      inARow: this.#inARow,
      calls: fires,
      failures,
      openedAtMs: this.#openedAtMs,
      probeAtMs: this.#openedAtMs === undefined ? undefined : this.#openedAtMs + this.#openForMs,
      rejected: this.#rejected,
      openings: this.#openings,
    };
  }

  close(): void {
    this.#closed = true;
    this.#endProbing();
    this.#breaker.shutdown();
  }

  async #probe(probing: Probing, call: Call, attempt: Attempt, send: AttemptSend): Promise<Reply> {
    const limitMs = Math.max(0, Math.min(call.deadlineMs - this.#clock.now(), PROBE_LIMIT_MS));
    const probe = probing.begin();
    probe.watchdog = this.#home.runInAsyncScope(this.#clock.after, this.#clock, limitMs, () =>
      this.#probed(probing, probe, "failure"),
    );
    try {
      const reply = await send(call, attempt);
      const failed = isFailedReply(this.#counted, reply, attempt);
      // A refusal of a gate is an answer, but not one that shows the destination to be well.
      this.#probed(probing, probe, failed ? "failure" : attempt.progress === "refused" ? "neutral" : "success");
      return reply;
    } catch (error) {
      this.#probed(probing, probe, isFailure(this.#counted, error, attempt) ? "failure" : "neutral");
      throw error;
    }
  }

  #probed(probing: Probing, probe: Probe, outcome: "success" | "failure" | "neutral"): void {
    const verdict = probing.end(probe, outcome);
    if (verdict === "close") this.#breaker.close();
    else if (verdict === "open") this.#breaker.open();
  }

  /** opossum's action, made once per instance: every call hands in its own way of sending. */
  #actionOf(generation: () => Breaker): (call: Call, attempt: Attempt, send: AttemptSend) => Promise<Reply> {
    return async (call, attempt, send) => {
      try {
        const reply = await send(call, attempt);
        if (isFailedReply(this.#counted, reply, attempt)) throw new FailedReply(reply);
        if (attempt.progress !== "refused" && generation() === this.#breaker) this.#inARow = 0;
        return reply;
      } catch (error) {
        this.#rotate(this.#clock.now());
        if (!this.#isNeutral(error, attempt)) this.#failed(generation());
        throw error;
      }
    };
  }

  /** Counts a failure in the row, unless it belongs to a call that began before the circuit last opened. */
  #failed(breaker: Breaker): void {
    if (breaker !== this.#breaker || this.#state !== "closed") return;
    this.#inARow++;
    if (this.#inARow === this.#policy.consecutiveFailures) breaker.open();
  }

  readonly #isNeutral = (error: unknown, attempt: Attempt): boolean =>
    !(error instanceof FailedReply) && !isFailure(this.#counted, error, attempt);

  #fresh(state: "closed" | "open"): Breaker {
    const policy = this.#policy;
    this.#rotor = new EventEmitter();
    const breaker: Breaker = this.#home.runInAsyncScope(
      () =>
        new CircuitBreaker(
          this.#actionOf(() => breaker),
          {
            name: this.#name,
            timeout: false,
            errorThresholdPercentage:
              policy.errorPercent === undefined ? NO_THRESHOLD : policy.errorPercent - THRESHOLD_EPSILON,
            volumeThreshold: policy.minimumVolume,
            rollingCountTimeout: policy.windowMs,
            rollingCountBuckets: BUCKETS,
            rollingPercentilesEnabled: false,
            enableSnapshots: false,
            resetTimeout: this.#openForMs,
            errorFilter: (error, _call, attempt) => this.#isNeutral(error, attempt),
            rotateBucketController: this.#rotor,
            state: { enabled: true, closed: state === "closed", halfOpen: false },
          },
        ),
    );
    for (const bucket of breaker.status.window) bucket.latencyTimes = keepsNothing;
    breaker.on("open", () => this.#opened());
    breaker.on("halfOpen", () => this.#halfOpened());
    breaker.on("close", () => this.#closedAgain());
    return breaker;
  }

  #opened(): void {
    const again = this.#state === "half-open";
    this.#endProbing();
    this.#inARow = 0;
    this.#openings++;
    this.#openForMs = again ? Math.min(this.#openForMs * 2, this.#policy.maxOpenForMs) : this.#policy.openForMs;
    const openedAtMs = this.#clock.wallNow();
    const probeAt = new Date(openedAtMs + this.#openForMs).toISOString();
    this.#openedAtMs = openedAtMs;
    // One error for all calls of an opening: making one would cost more than the rest of a refusal.
    this.#rejection = new MeshError("CIRCUIT_OPEN", {
      message: `the circuit of ${this.#name} is open since ${new Date(openedAtMs).toISOString()}; the first call after ${probeAt} probes it`,
      hint: "its calls failed; circuitBreaker of the Service policy sets when it opens",
    });
    const old = this.#breaker;
    this.#breaker = this.#fresh("open");
    old.shutdown();
    this.#enter("open");
  }

  #halfOpened(): void {
    this.#probing = new Probing(this.#policy.halfOpenProbes);
    this.#enter("half-open");
  }

  #closedAgain(): void {
    this.#endProbing();
    this.#openedAtMs = undefined;
    this.#rejection = undefined;
    this.#enter("closed");
  }

  #enter(state: CircuitState): void {
    this.#state = state;
    this.#onChange?.(state);
  }

  #endProbing(): void {
    this.#probing?.close();
    this.#probing = undefined;
  }

  #reject(): MeshError {
    this.#rejected++;
    // Set whenever the circuit is not closed.
    return this.#rejection ?? new MeshError("CIRCUIT_OPEN", { message: `the circuit of ${this.#name} is open` });
  }

  /** Moves the window on by the time that has passed: no timer of its own for each circuit. */
  #rotate(nowMs: number): void {
    const passed = Math.floor((nowMs - this.#bucketStartMs) / this.#bucketMs);
    if (passed <= 0) return;
    this.#bucketStartMs += passed * this.#bucketMs;
    for (let turn = Math.min(passed, BUCKETS); turn > 0; turn--) {
      this.#rotor.emit("rotate");
      const [bucket] = this.#breaker.status.window;
      if (bucket !== undefined) bucket.latencyTimes = keepsNothing;
    }
  }
}

type Breaker = CircuitBreaker<[Call, Attempt, AttemptSend], Reply>;

/** Tells opossum that a reply counts as a failure. No error: it costs no stack and never leaves the circuit. */
class FailedReply {
  readonly reply: Reply;

  constructor(reply: Reply) {
    this.reply = reply;
  }
}

const replyOrThrow = (error: unknown): Reply => {
  if (error instanceof FailedReply) return error.reply;
  throw error;
};

const keepsNothing = { push: (): number => 0 };

const wordsOf = (policy: EffectiveCircuitBreaker): string => {
  const { errorPercent, minimumVolume, windowMs, consecutiveFailures } = policy;
  const words: string[] = [];
  if (errorPercent !== undefined) {
    words.push(`${errorPercent} % of at least ${minimumVolume} calls in ${formatDuration(windowMs)}`);
  }
  if (consecutiveFailures > 0) words.push(`${consecutiveFailures} failures in a row`);
  return words.join(", or ");
};
