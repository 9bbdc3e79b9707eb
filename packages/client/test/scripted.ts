import { effectiveRetry, effectiveTimeouts, type MeshErrorCode, type RetryPolicy } from "@tulle/policy";
import { MeshCall } from "../src/call.ts";
import { failCall } from "../src/failure.ts";
import type { Reply, ReplySink } from "../src/reply.ts";
import type { RetryCounters } from "../src/retry/attempt-outcome.ts";
import { compileRetry, type RetryRules } from "../src/retry/retry-rules.ts";
import { regexEngine } from "../src/routing/regex-engine.ts";
import type { Attempt, AttemptSend, Call } from "../src/send.ts";

/** A call as a face would make it. */
export const callOf = (over: Partial<ConstructorParameters<typeof MeshCall>[0]> = {}): MeshCall =>
  new MeshCall({
    method: "GET",
    authority: "reviews",
    port: 80,
    path: "/reviews/7",
    service: "default/reviews",
    headers: [],
    body: null,
    replayable: true,
    options: {},
    startedAtMs: 0,
    inherited: undefined,
    ...over,
  });

/** A reply without a body, which is over when `finish` is called. */
export class ScriptedReply implements Reply {
  readonly status: number;
  readonly statusText = "";
  readonly rawHeaders: readonly string[] = [];
  readonly headers: Record<string, string>;
  discarded = false;
  #listeners: ((error: Error | undefined) => void)[] = [];

  constructor(status: number, headers: Record<string, string> = {}) {
    this.status = status;
    this.headers = headers;
  }

  take(_sink: ReplySink): never {
    throw new Error("a scripted reply has no body");
  }

  discard(): void {
    this.discarded = true;
  }

  onDone(listener: (error: Error | undefined) => void): void {
    this.#listeners.push(listener);
  }

  finish(error?: Error): void {
    for (const listener of this.#listeners) listener(error);
  }
}

/** What one attempt comes to: a status, a code with how far the attempt got, or never anything. */
export type Step =
  | number
  | ScriptedReply
  | { readonly code: MeshErrorCode; readonly progress: Attempt["progress"] }
  | { readonly refused: number }
  /** A verified peer says that a hop further on was retried in vain. */
  | { readonly retriedBelow: number }
  | "hang";

/** A send that plays its steps, one per attempt, and remembers the attempts. */
export const script = (...steps: Step[]): AttemptSend & { readonly sent: Attempt[] } => {
  const sent: Attempt[] = [];
  const send = (call: Call, attempt: Attempt): Promise<Reply> => {
    const step = steps[sent.length];
    sent.push(attempt);
    attempt.endpoint = `reviews-${attempt.number}`;
    if (step === undefined) return Promise.reject(new Error(`attempt ${attempt.number} was not foreseen`));
    if (step === "hang") {
      attempt.progress = "sent";
      return new Promise((_resolve, reject) => {
        attempt.abort = reject;
        call.cancel.onCancel(reject);
      });
    }
    if (typeof step === "object" && "code" in step) {
      attempt.progress = step.progress;
      attempt.code = step.code;
      return Promise.reject(failCall(call, step.code, "scripted"));
    }
    if (typeof step === "object" && "retriedBelow" in step) {
      attempt.progress = "answered";
      attempt.retriedBelow = true;
      return Promise.resolve(new ScriptedReply(step.retriedBelow));
    }
    const refused = typeof step === "object" && "refused" in step;
    const reply = typeof step === "number" ? new ScriptedReply(step) : refused ? new ScriptedReply(step.refused) : step;
    attempt.progress = refused ? "refused" : "answered";
    attempt.status = reply.status;
    return Promise.resolve(reply);
  };
  return Object.assign(send, { sent });
};

const mesh = { kind: "Mesh", name: "mesh" } as const;

/** Compiled retries. */
export const retryRules = (policy: RetryPolicy = {}): RetryRules =>
  compileRetry(effectiveRetry(policy, mesh)!, regexEngine);

/** The default retries. */
export const defaultRetry = retryRules();

/** Counters of retries, all at zero. */
export const retryCounters = (): RetryCounters => ({
  retries: 0,
  hedges: 0,
  hedgesCancelled: 0,
  retriesOverBudget: 0,
  retriesWithoutBody: 0,
  retriesLeftToHops: 0,
  retriesOutOfTime: 0,
});

/** The default time limits. */
export const defaultTimeouts = effectiveTimeouts(undefined, mesh);
