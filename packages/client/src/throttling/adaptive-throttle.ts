import { type EffectiveAdaptiveThrottling, isMeshError } from "@tulle/policy";
import type { Random } from "@tulle/time";
import { type CountedFailures, compileFailures } from "../breaker/circuit-outcome.ts";
import type { Reply } from "../reply.ts";
import type { Attempt } from "../send.ts";
import { RequestWindow } from "./request-window.ts";
import { rejectionShare, throttle } from "./throttle.ts";

/** No answer at all: as Envoy takes a reset, a destination that gives none has not accepted the call. */
const noAnswer: CountedFailures = compileFailures({
  failures: ["connect-failure", "reset", "attempt-timeout", "timeout"],
  statuses: [],
});

/** What gRPC says of an overload, with status 200: RESOURCE_EXHAUSTED and UNAVAILABLE. */
const grpcRejections: ReadonlySet<unknown> = new Set(["8", "14"]);

/** A destination's throttling for explanations. */
export interface ThrottleDescription {
  /** Share of the calls that is refused now, in percent. */
  readonly rejectionPercent: number;
  /** Within the window. */
  readonly requests: number;
  readonly accepts: number;
  /** Calls that were refused since the throttling began. */
  readonly throttled: number;
}

/**
 * What a client saw of one destination, and how much of its calls it refuses. An attempt counts when it ends: those under way
 * say nothing yet, and a burst of first calls is no reason to refuse the next one.
 */
export class AdaptiveThrottle {
  readonly #random: Random;
  #policy: EffectiveAdaptiveThrottling;
  #window: RequestWindow;
  #throttled = 0;

  constructor(policy: EffectiveAdaptiveThrottling, random: Random, nowMs: number) {
    this.#policy = policy;
    this.#random = random;
    this.#window = new RequestWindow(policy.windowMs, nowMs);
  }

  /** Takes a new policy. What was counted stays, unless it is counted over another time. */
  reconfigure(policy: EffectiveAdaptiveThrottling, nowMs: number): void {
    this.#policy = policy;
    if (policy.windowMs !== this.#window.windowMs) this.#window = new RequestWindow(policy.windowMs, nowMs);
  }

  /** Whether the next attempt is refused; it counts as a request if so. */
  refuses(nowMs: number): boolean {
    this.#window.forget(nowMs);
    if (this.#isQuiet() || !throttle(this.#window, this.#policy, this.#random())) return false;
    this.#window.record(false, nowMs);
    this.#throttled++;
    return true;
  }

  /** Notes an answer. A gate's refusal is none: it comes from an instance that drains or knows its rules. */
  answered(reply: Reply, attempt: Attempt, nowMs: number): void {
    if (attempt.progress === "refused") return;
    const rejected = this.#policy.rejections.has(reply.status) || grpcRejections.has(reply.headers["grpc-status"]);
    this.#window.record(!rejected, nowMs);
  }

  /** Notes a failure, unless it says nothing of the destination: a caller's abort, a limit of the client's own. */
  failed(error: unknown, attempt: Attempt, nowMs: number): void {
    if (isMeshError(error) && noAnswer.codes.has(error.code) && !attempt.isolated) this.#window.record(false, nowMs);
  }

  describe(nowMs: number): ThrottleDescription {
    this.#window.forget(nowMs);
    const { requests, accepts } = this.#window;
    const share = this.#isQuiet() ? 0 : rejectionShare(this.#window, this.#policy);
    return { rejectionPercent: share * 100, requests, accepts, throttled: this.#throttled };
  }

  #isQuiet(): boolean {
    const { windowMs, minimumRequestsPerSecond } = this.#policy;
    return this.#window.requests < (minimumRequestsPerSecond * windowMs) / 1_000;
  }
}
