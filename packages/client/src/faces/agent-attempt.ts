import { errorMonitor } from "node:events";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { MeshError } from "@tulle/policy";
import type { MeshCall } from "../call.ts";
import type { Candidate } from "../endpoints/endpoint-set.ts";
import type { Flow, Reply } from "../reply.ts";
import type { Attempt } from "../send.ts";
import { takeControlHeaders, withoutControlHeaders } from "../transport/control-headers.ts";
import type { LentSocket, SocketTaker } from "../transport/socket-pool.ts";
import { type FailedAt, transportFailure } from "../transport/transport-failure.ts";

/** What one attempt of a request of `node:http` is made of. */
export interface AgentAttemptParts {
  readonly request: ClientRequest;
  readonly call: MeshCall;
  readonly attempt: Attempt;
  readonly candidate: Candidate;
  /** Gives the request its connection: from then on Node.js does the rest. */
  readonly use: (socket: Duplex, reused: boolean) => void;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Waits for a connection to the endpoint, gives it to the request and watches what becomes of it: Node.js writes and reads, the
 * mesh keeps the figures.
 */
export class AgentAttempt implements SocketTaker {
  readonly #parts: AgentAttemptParts;
  #state: "waiting" | "sent" | "replying" | "over" = "waiting";
  #lent: LentSocket | undefined;
  #response: IncomingMessage | undefined;
  #upgraded: Duplex | undefined;
  #stopWaiting: (() => void) | undefined;
  #stopListening: (() => void) | undefined;
  #onDone: ((error: Error | undefined) => void)[] = [];
  #error: Error | undefined;

  constructor(parts: AgentAttemptParts) {
    this.#parts = parts;
  }

  begin(): void {
    const { call, attempt, candidate } = this.#parts;
    const giveUp = (reason: unknown): void => this.#giveUp(reason);
    attempt.abort = giveUp;
    this.#stopListening = call.cancel.onCancel(giveUp);
    if (this.#state === "over") return;
    try {
      const stop = candidate.pool.lend(this, attempt.startedAtMs);
      if (this.#state === "waiting") this.#stopWaiting = stop;
    } catch (error) {
      // The pool took nothing, so there is nothing to release.
      this.#end(this.#failureOf(error, "queued"));
    }
  }

  // The pool's answers.

  take(lent: LentSocket): void {
    const { request, attempt, use } = this.#parts;
    this.#lent = lent;
    this.#stopWaiting = undefined;
    this.#state = "sent";
    attempt.progress = "sent";
    // Before Node's own listeners, which emit the events that are listened to here.
    lent.socket.on("agentRemove", this.#onDetach).on("close", this.#onSocketOver).on("free", this.#onSocketOver);
    request.on(errorMonitor, this.#onError);
    request.prependOnceListener("response", this.#onResponse);
    use(lent.socket, lent.reused);
  }

  fail(error: Error): void {
    this.#parts.candidate.pool.release();
    this.#end(this.#failureOf(error, "queued"));
  }

  // The request's events.

  readonly #onResponse = (response: IncomingMessage): void => {
    const { request, attempt } = this.#parts;
    if (this.#state !== "sent") return;
    this.#state = "replying";
    this.#heed(response);
    const { statusCode = 0 } = response;
    attempt.status = statusCode;
    attempt.progress = "answered";
    const keepAlive = /\btimeout=(\d+)/.exec(String(response.headers["keep-alive"] ?? ""))?.[1];
    if (keepAlive !== undefined) this.#lent?.keepFor(Number(keepAlive) * 1_000);
    response.on(errorMonitor, (error: Error) => explain(error, this.#failureOf(error, "replying")));
    this.#response = response;
    response.once("close", () => {
      this.#release();
      if (response.complete) this.#end(undefined);
      // What its reader destroys has no error of a connection.
      else if (response.errored == null) this.#parts.call.cancel.cancel(new Error("the body was given up"));
      else this.#end(this.#failureOf(response.errored, "replying"));
    });
    // Node.js throws a body away that nobody asks for, but it takes this listener for somebody.
    if (request.listenerCount("response") === 0) response.resume();
    this.#parts.resolve(new CarriedReply(this, response));
  };

  readonly #onUpgrade = (response: IncomingMessage, socket: Duplex): void => {
    const { attempt, candidate, resolve } = this.#parts;
    if (this.#state !== "sent") return;
    this.#state = "replying";
    attempt.status = response.statusCode ?? 101;
    attempt.progress = "answered";
    this.#upgraded = socket;
    candidate.pool.keepUpgraded(socket, () => this.#end(undefined));
    resolve(new CarriedReply(this, response, socket));
  };

  readonly #onError = (error: Error): void => {
    if (this.#state === "sent") explain(error, this.#failureOf(error, "sent"));
  };

  readonly #onDetach = (): void => {
    this.#parts.request.prependOnceListener("upgrade", this.#onUpgrade);
  };

  /** The connection is gone, or back in its pool; when that is before any reply, Node.js tells the caller of it. */
  readonly #onSocketOver = (): void => {
    const error = this.#lent?.socket.errored ?? hangUp();
    this.#release();
    if (this.#state === "sent") this.#end(this.#failureOf(error, "sent"));
  };

  // For the reply.

  onDone(listener: (error: Error | undefined) => void): void {
    if (this.#state === "over") listener(this.#error);
    else this.#onDone.push(listener);
  }

  #giveUp(reason: unknown): void {
    if (this.#state === "over") return;
    if (this.#state === "waiting") {
      this.#stopWaiting?.();
      this.#parts.candidate.pool.release();
    }
    const response = this.#response;
    // One that has a connection but no reply is destroyed by whoever hears of its failure; the pool hears when it is closed.
    this.#end(reason);
    response?.destroy(reason instanceof Error ? reason : new Error(String(reason)));
    this.#upgraded?.destroy();
  }

  #release(): void {
    if (this.#lent === undefined) return;
    this.#lent.socket
      .off("agentRemove", this.#onDetach)
      .off("close", this.#onSocketOver)
      .off("free", this.#onSocketOver);
    this.#lent = undefined;
    this.#parts.candidate.pool.release();
  }

  #failureOf(error: unknown, at: FailedAt): unknown {
    const { call, attempt, candidate } = this.#parts;
    if (call.cancel.cancelled) return call.cancel.reason;
    const { endpoint, pool } = candidate;
    const where = `endpoint ${endpoint.id} at ${endpoint.address}:${endpoint.port}`;
    const failure = transportFailure(call, error, at, { where, mtls: pool.verified });
    if (failure instanceof MeshError) attempt.code = failure.code;
    return failure;
  }

  /** What the mesh says to itself reaches no caller; a verified peer's word that it drains or is degraded counts. */
  #heed(response: IncomingMessage): void {
    const { candidate, attempt } = this.#parts;
    const { verified } = candidate.pool;
    const said = takeControlHeaders(response.headers, verified);
    if (said === undefined) return;
    if (verified) {
      if (said.drains) candidate.pool.onDrainHint?.();
      if (said.degraded !== undefined) candidate.pool.onDegradedHint?.(said.degraded);
      attempt.retriedBelow = said.retried;
      attempt.loadReport = said.load;
    }
    // A list of strings stays one.
    response.rawHeaders = withoutControlHeaders(response.rawHeaders, verified) as string[];
  }

  #end(failure: unknown): void {
    if (this.#state === "over") return;
    const replying = this.#state === "replying";
    this.#state = "over";
    this.#stopListening?.();
    const { request, attempt, reject } = this.#parts;
    attempt.abort = undefined;
    request.off(errorMonitor, this.#onError);
    request.off("response", this.#onResponse);
    if (failure !== undefined) this.#error = failure instanceof Error ? failure : new Error(String(failure));
    if (!replying) reject(failure);
    for (const listener of this.#onDone) listener(this.#error);
    this.#onDone = [];
  }
}

/** A reply whose body Node.js hands to the caller; the mesh sees its headers and its end. */
export class CarriedReply implements Reply {
  readonly status: number;
  readonly statusText: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage["headers"];
  readonly upgraded: Duplex | undefined;
  readonly #attempt: AgentAttempt;
  readonly #response: IncomingMessage;

  constructor(attempt: AgentAttempt, response: IncomingMessage, upgraded?: Duplex) {
    this.status = response.statusCode ?? 0;
    this.statusText = response.statusMessage ?? "";
    this.rawHeaders = response.rawHeaders;
    this.headers = response.headers;
    this.upgraded = upgraded;
    this.#attempt = attempt;
    this.#response = response;
  }

  take(): Flow {
    throw new Error("the body of this reply belongs to node:http");
  }

  discard(): void {
    this.#response.destroy();
  }

  onDone(listener: (error: Error | undefined) => void): void {
    this.#attempt.onDone(listener);
  }
}

/** Tells why, beside an error whose form the caller's code knows. */
const explain = (error: Error, failure: unknown): void => {
  if (error === failure || error.cause !== undefined || !(failure instanceof MeshError)) return;
  Object.defineProperty(error, "cause", { value: failure, configurable: true, writable: true });
};

const hangUp = (): Error => Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
