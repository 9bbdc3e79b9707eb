import { AsyncResource } from "node:async_hooks";
import { EventEmitter } from "node:events";
import { type EffectiveCircuitBreaker, MeshError } from "@tulle/policy";
import type { Clock, Timer } from "@tulle/time";
import CircuitBreaker from "opossum";
import type { Reply } from "../reply.ts";
import type { Attempt, AttemptSend, Call } from "../send.ts";
import { isFailedReply, isFailure } from "./circuit-outcome.ts";

/** Whether calls pass. Half-open: the next call, or the one under way, probes the destination. */
export type CircuitState = "closed" | "open" | "half-open";

/** A circuit for telemetry and explanations. */
export interface CircuitDescription {
  readonly name: string;
  readonly state: CircuitState;
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

/** The circuit of a destination: refuses calls at once while the destination is known to fail. */
export interface Circuit {
  readonly state: CircuitState;
  /**
   * Sends the attempt and learns from how it ends.
   *
   * @throws MeshError CIRCUIT_OPEN, without sending, while the circuit is open, or half-open with its probe under way.
   */
  run(call: Call, attempt: Attempt, send: AttemptSend): Promise<Reply>;
  describe(): CircuitDescription;
  /** Ends its timers; calls pass unwatched from then on. */
  close(): void;
}

/** What makes a circuit. */
export interface CircuitOptions {
  /** Destination, for errors: `default/reviews, subset v1`. */
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

/** Makes a closed circuit. */
export const createCircuit = (options: CircuitOptions): Circuit => new FencedCircuit(options);

/**
 * opossum, fenced. It keeps the window and the states; what it does not do well is kept from it:
 * - A result of a call that began before the circuit opened would close or reopen it: each opening and each inconclusive
 *   probe gets a fresh instance, and the old one, shut down, hears of its late results alone.
 * - It knows no neutral outcome: those of a probe are not shown to it.
 * - A probe that never settles would lock it: a watchdog at the call's deadline counts it as failed.
 * - It keeps every latency of the window even when nobody asks: the buckets get a list that keeps nothing.
 * - It times out, aborts and limits concurrency with consequences for innocent calls: all of that is off; the mesh has its own.
 */
class FencedCircuit implements Circuit {
  readonly #name: string;
  readonly #policy: EffectiveCircuitBreaker;
  readonly #clock: Clock;
  readonly #onChange: ((state: CircuitState) => void) | undefined;
  /** opossum's timers outlive the call that opened the circuit and must not keep its context. */
  readonly #home = new AsyncResource("tulle.circuit");
  readonly #bucketMs: number;
  #breaker: Breaker;
  #rotor = new EventEmitter();
  #bucketStartMs: number;
  #state: CircuitState = "closed";
  #openedAtMs: number | undefined;
  #rejection: MeshError | undefined;
  #probe: { readonly watchdog: Timer } | undefined;
  #rejected = 0;
  #openings = 0;
  #closed = false;

  constructor({ name, policy, clock, onChange }: CircuitOptions) {
    this.#name = name;
    this.#policy = policy;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#bucketMs = policy.windowMs / BUCKETS;
    this.#bucketStartMs = clock.now();
    this.#breaker = this.#fresh("closed");
  }

  get state(): CircuitState {
    return this.#state;
  }

  run(call: Call, attempt: Attempt, send: AttemptSend): Promise<Reply> {
    if (this.#closed) return send(call, attempt);
    // Asked here and not of opossum: it counts refused calls as calls, which dilutes the share of failures.
    if (this.#state === "open" || this.#probe !== undefined) return Promise.reject(this.#reject());
    this.#rotate(this.#clock.now());
    if (this.#state === "half-open") return this.#runProbe(call, attempt, send);
    return this.#breaker.fire(call, attempt, send).then(undefined, replyOrThrow);
  }

  describe(): CircuitDescription {
    this.#rotate(this.#clock.now());
    const { fires, failures } = this.#breaker.status.stats;
    return {
      name: this.#name,
      state: this.#state,
      calls: fires,
      failures,
      openedAtMs: this.#openedAtMs,
      probeAtMs: this.#openedAtMs === undefined ? undefined : this.#openedAtMs + this.#policy.openForMs,
      rejected: this.#rejected,
      openings: this.#openings,
    };
  }

  close(): void {
    this.#closed = true;
    this.#endProbe();
    this.#breaker.shutdown();
  }

  #runProbe(call: Call, attempt: Attempt, send: AttemptSend): Promise<Reply> {
    const breaker = this.#breaker;
    const limitMs = Math.max(0, Math.min(call.deadlineMs - this.#clock.now(), PROBE_LIMIT_MS));
    const probe = {
      watchdog: this.#home.runInAsyncScope(this.#clock.after, this.#clock, limitMs, () => {
        if (this.#probe === probe) breaker.open();
      }),
    };
    this.#probe = probe;
    return breaker.fire(call, attempt, send).then(undefined, replyOrThrow);
  }

  /** opossum's action, made once per instance: every call hands in its own way of sending. */
  readonly #act = async (call: Call, attempt: Attempt, send: AttemptSend): Promise<Reply> => {
    const probe = this.#probe;
    try {
      const reply = await send(call, attempt);
      if (isFailedReply(reply, attempt)) throw new FailedReply(reply);
      // A refusal of a gate is an answer, but not one that shows the destination to be well.
      if (attempt.progress === "refused") this.#inconclusive(probe);
      return reply;
    } catch (error) {
      if (isNeutral(error, attempt)) this.#inconclusive(probe);
      this.#rotate(this.#clock.now());
      throw error;
    }
  };

  /** The probe learned nothing: the next call is the probe. Must run before opossum hears of the outcome. */
  #inconclusive(probe: object | undefined): void {
    if (probe === undefined || probe !== this.#probe) return;
    this.#endProbe();
    this.#replace("half-open");
  }

  #fresh(state: CircuitState): Breaker {
    const policy = this.#policy;
    this.#rotor = new EventEmitter();
    const breaker: Breaker = this.#home.runInAsyncScope(
      () =>
        new CircuitBreaker(this.#act, {
          name: this.#name,
          timeout: false,
          errorThresholdPercentage: policy.errorPercent - THRESHOLD_EPSILON,
          volumeThreshold: policy.minimumVolume,
          rollingCountTimeout: policy.windowMs,
          rollingCountBuckets: BUCKETS,
          rollingPercentilesEnabled: false,
          enableSnapshots: false,
          resetTimeout: policy.openForMs,
          errorFilter: (error, _call, attempt) => isNeutral(error, attempt),
          rotateBucketController: this.#rotor,
          state: { enabled: true, closed: state === "closed", halfOpen: state === "half-open" },
        }),
    );
    for (const bucket of breaker.status.window) bucket.latencyTimes = keepsNothing;
    breaker.on("open", () => this.#opened());
    breaker.on("halfOpen", () => this.#enter("half-open"));
    breaker.on("close", () => this.#closedAgain());
    return breaker;
  }

  #replace(state: CircuitState): void {
    const old = this.#breaker;
    this.#breaker = this.#fresh(state);
    old.shutdown();
  }

  #opened(): void {
    this.#endProbe();
    this.#openings++;
    const openedAtMs = this.#clock.wallNow();
    const probeAt = new Date(openedAtMs + this.#policy.openForMs).toISOString();
    this.#openedAtMs = openedAtMs;
    // One error for all calls of an opening: making one would cost more than the rest of a refusal.
    this.#rejection = new MeshError("CIRCUIT_OPEN", {
      message: `the circuit of ${this.#name} is open since ${new Date(openedAtMs).toISOString()}; the first call after ${probeAt} probes it`,
      hint: "its calls failed; circuitBreaker of the Service policy sets when it opens",
    });
    this.#replace("open");
    this.#enter("open");
  }

  #closedAgain(): void {
    this.#endProbe();
    this.#openedAtMs = undefined;
    this.#rejection = undefined;
    this.#enter("closed");
  }

  #enter(state: CircuitState): void {
    this.#state = state;
    this.#onChange?.(state);
  }

  #endProbe(): void {
    this.#probe?.watchdog.cancel();
    this.#probe = undefined;
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

const isNeutral = (error: unknown, attempt: Attempt): boolean =>
  !(error instanceof FailedReply) && !isFailure(error, attempt);

const replyOrThrow = (error: unknown): Reply => {
  if (error instanceof FailedReply) return error.reply;
  throw error;
};

const keepsNothing = { push: (): number => 0 };
