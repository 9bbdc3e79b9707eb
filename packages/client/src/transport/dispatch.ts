import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { MeshError } from "@tulle/policy";
import type { Timer } from "@tulle/time";
import type { Dispatcher } from "undici";
import type { Candidate } from "../endpoints/endpoint-set.ts";
import { failCall } from "../failure.ts";
import type { Flow, Reply, ReplySink } from "../reply.ts";
import type { Attempt, Call, Carrier } from "../send.ts";
import type { PooledClient, PooledHandler } from "./client-pool.ts";
import { type ControlWords, takeControlHeaders, withoutControlHeaders } from "./control-headers.ts";
import type { DestinationUsage } from "./destination-usage.ts";
import { DISCARD_BYTES, DISCARD_IDLE_MS, Waste } from "./discard.ts";
import { errorCodeOf } from "./error-code.ts";
import { type FailedAt, isCertificateRefused, isTerminated, transportFailure } from "./transport-failure.ts";

/** Body that may arrive before anybody takes it, bytes; the connection is paused beyond. */
export const EARLY_BODY_BYTES = 65_536;

/** What bounds an exchange. */
export interface ExchangeLimits {
  /** Longest silence within the body, milliseconds; `Infinity` without a limit. */
  readonly idleTimeoutMs: number;
  readonly usage: DestinationUsage;
  /** Hears that undici has sent the request again by itself: that is a retry like any other, and is paid for. */
  readonly onReplay?: () => void;
  /** Whether an attempt whose endpoint has fallen silent may be given up, because its call can go elsewhere. @default never */
  readonly mayMove?: (call: Call, attempt: Attempt) => boolean;
}

/**
 * The last step of an attempt and the only one that touches the network: sends it over the endpoint's pool and settles at
 * the final headers. Writes `attempt.progress`, `status`, `code` and, while it can be given up, `abort`. The call's headers
 * must hold no Host; its authority is sent.
 *
 * @throws MeshError CONNECT_FAILED, IDENTITY_MISMATCH, CONNECTION_TERMINATED, REPLY_BROKEN, OVERFLOW_CONNECTIONS,
 * OVERFLOW_PENDING, OVERFLOW_REQUESTS or INVALID_CALL; the reason of whoever cancels the call or aborts the attempt; errors of
 * the caller's body stream as they are.
 */
export const dispatchTo = (
  call: Call,
  attempt: Attempt,
  candidate: Candidate,
  limits: ExchangeLimits,
): Promise<Reply> =>
  call.carrier === undefined
    ? new Promise((resolve, reject) => {
        new Exchange(call, attempt, candidate, limits, resolve, reject).begin();
      })
    : carried(call.carrier, call, attempt, candidate, limits.usage);

/** An exchange that another than undici carries. It counts for its destination until its reply is over. */
const carried = (
  carrier: Carrier,
  call: Call,
  attempt: Attempt,
  candidate: Candidate,
  usage: DestinationUsage,
): Promise<Reply> => {
  const { pool, endpoint } = candidate;
  if (!usage.mayBegin) {
    pool.counters.requestOverflows++;
    return Promise.reject(usage.overflow("OVERFLOW_REQUESTS", endpoint.id));
  }
  usage.requests++;
  const over = (): void => void usage.requests--;
  return carrier.carry(call, attempt, candidate).then(
    (reply) => {
      reply.onDone(over);
      return reply;
    },
    (error: unknown) => {
      over();
      throw error;
    },
  );
};

type State =
  /** No final headers yet. */
  | "waiting"
  /** Final headers were given to the caller; body to come. */
  | "replying"
  /** Whole, broken or given up. */
  | "over";

/**
 * One request and its reply. At once undici's handler, the reply and the flow of its body: one object per attempt instead of
 * three and a closure for each event.
 */
class Exchange implements PooledHandler, Reply, Flow {
  status = 0;
  statusText = "";
  rawHeaders: readonly (string | Buffer)[] = [];
  headers: Record<string, string | string[] | undefined> = {};
  connection: PooledClient | undefined = undefined;
  upgraded: Duplex | undefined = undefined;
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #candidate: Candidate;
  readonly #limits: ExchangeLimits;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (reason: unknown) => void;
  #state: State = "waiting";
  #controller: Dispatcher.DispatchController | undefined = undefined;
  #stopListening: (() => void) | undefined = undefined;
  #sink: ReplySink | undefined = undefined;
  /** Chunks that came before the sink, or while it had asked for a pause. */
  #held: Buffer[] | undefined = undefined;
  #heldBytes = 0;
  #paused = false;
  #trailers: Record<string, string | string[]> = {};
  #error: Error | undefined = undefined;
  /** Whether the sink has been told how the body ended. */
  #told = false;
  #onDone: ((error: Error | undefined) => void) | undefined = undefined;
  #lastChunkMs = 0;
  #idleTimer: Timer | undefined = undefined;

  constructor(
    call: Call,
    attempt: Attempt,
    candidate: Candidate,
    limits: ExchangeLimits,
    resolve: (reply: Reply) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#call = call;
    this.#attempt = attempt;
    this.#candidate = candidate;
    this.#limits = limits;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(): void {
    const call = this.#call;
    const attempt = this.#attempt;
    const giveUp = (reason: unknown): void => this.#giveUp(reason);
    attempt.abort = giveUp;
    this.#stopListening = call.cancel.onCancel(giveUp);
    if (this.#state !== "over") this.#send();
  }

  #send(): void {
    const call = this.#call;
    const attempt = this.#attempt;
    const { pool } = this.#candidate;
    try {
      pool.dispatch(
        {
          path: call.sentPath,
          // undici's type lists the methods it knows; it sends every token.
          method: call.method as Dispatcher.HttpMethod,
          headers: headersOf(call, attempt),
          body: call.body ?? null,
          // Known to undici's requests, not to the type of their options.
          servername: pool.servername,
          upgrade: call.upgrade ?? null,
          // undici closes after HEAD and after bodies where none is usual, for servers that mishandle them. Ours do not.
          reset: pool.verified && call.upgrade === undefined ? false : null,
        } as Dispatcher.DispatchOptions,
        this,
        this.#limits.usage,
        attempt.startedAtMs,
      );
    } catch (error) {
      // The pool took nothing, so there is nothing to release.
      this.#fail(error, "queued");
    }
  }

  get started(): boolean {
    return this.#controller !== undefined;
  }

  get awaitsReply(): boolean {
    return this.#controller !== undefined && this.#state === "waiting";
  }

  silent(): void {
    const { endpoint } = this.#candidate;
    if (!this.awaitsReply || this.#limits.mayMove?.(this.#call, this.#attempt) !== true) return;
    const failure = failCall(
      this.#call,
      "CONNECTION_TERMINATED",
      `endpoint ${endpoint.id} at ${endpoint.address}:${endpoint.port} says nothing and accepts no connection`,
    );
    this.#attempt.code = failure.code;
    this.#giveUp(failure);
  }

  refused(error: Error): void {
    this.#release();
    if (this.#state !== "over") this.#fail(error, "queued");
  }

  // The events of undici, in the order in which they come.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Thrown, not aborted: aborting would close a connection that has not been used.
    if (this.#state === "over") throw this.#error ?? new Error("given up");
    if (this.#attempt.progress === "not-sent") this.#attempt.progress = "sent";
    else {
      this.#candidate.pool.counters.undiciReplays++;
      this.#limits.onReplay?.();
    }
    this.#controller = controller;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    statusText = "",
  ): void {
    this.connection?.noteHeard();
    if (this.#state !== "waiting") return;
    if (status < 200) {
      this.#call.informed?.onInformation(status, headers, controller.rawHeaders as readonly Buffer[]);
      return;
    }
    this.#answered(controller, status, headers, statusText);
  }

  /** The connection is the application's now: undici has let go of it, and it counts here until it closes. */
  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    socket: Duplex,
  ): void {
    if (this.#state === "over") {
      socket.destroy();
      this.#release();
      return;
    }
    this.upgraded = socket;
    this.connection?.detach();
    this.#candidate.pool.keepUpgraded(socket, () => {
      this.#release();
      if (this.#state !== "over") this.#end(undefined);
    });
    this.#answered(controller, status, headers, STATUS_CODES[status] ?? "");
  }

  #answered(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    statusText: string,
  ): void {
    this.status = status;
    this.statusText = statusText;
    this.headers = headers;
    // HTTP/1.1 keeps them as a flat list of buffers.
    this.rawHeaders = controller.rawHeaders as readonly Buffer[];
    this.#attempt.status = status;
    this.#attempt.progress = "answered";
    this.#candidate.pool.heedKeepAlive(headers["keep-alive"]);
    if (headers.connection === "close") this.connection?.spoil();
    const said = takeControlHeaders(headers);
    if (said !== undefined) this.#heed(said);
    this.#state = "replying";
    this.#resolve(this);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.connection?.noteHeard();
    if (this.#sink !== undefined && this.#held === undefined && !this.#paused) {
      this.#lastChunkMs = this.#candidate.pool.clock.now();
      if (!this.#sink.data(chunk)) this.pause();
      return;
    }
    this.#held ??= [];
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes >= EARLY_BODY_BYTES && !controller.paused) {
      if (this.#sink === undefined) this.#candidate.pool.counters.earlyBodyFull++;
      controller.pause();
    }
  }

  onResponseEnd(
    _controller: Dispatcher.DispatchController,
    trailers: Record<string, string | string[] | undefined>,
  ): void {
    this.#release();
    if (this.#state === "over") return;
    // Values of a parsed list are never undefined.
    this.#trailers = trailers as Record<string, string | string[]>;
    this.#end(undefined);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.started) this.connection?.spoil();
    else if (this.#mayMove(error)) {
      this.#candidate.pool.counters.unsentReplays++;
      this.#release();
      this.#send();
      return;
    }
    this.#release();
    if (this.#state === "over") return;
    this.#fail(error, this.#state === "replying" ? "replying" : this.#controller === undefined ? "queued" : "sent");
  }

  // The reply.

  take(sink: ReplySink): Flow {
    if (this.#sink !== undefined) throw new Error("the body of this reply was taken or discarded before");
    this.#sink = sink;
    if (this.#state === "replying") this.#watchIdle(this.#limits.idleTimeoutMs);
    this.#flush(sink);
    return this;
  }

  discard(): void {
    if (this.#sink !== undefined) return;
    if (this.upgraded !== undefined) {
      this.upgraded.destroy();
      return;
    }
    const waste = new Waste(() => this.#cutShort());
    this.#sink = waste;
    if (Number(this.headers["content-length"] ?? 0) > DISCARD_BYTES) {
      this.#cutShort();
      return;
    }
    this.#watchIdle(Math.min(this.#limits.idleTimeoutMs, DISCARD_IDLE_MS));
    this.#flush(waste);
  }

  onDone(listener: (error: Error | undefined) => void): void {
    if (this.#state === "over") {
      listener(this.#error);
      return;
    }
    const before = this.#onDone;
    this.#onDone =
      before === undefined
        ? listener
        : (error) => {
            before(error);
            listener(error);
          };
  }

  // The flow.

  pause(): void {
    this.#paused = true;
    if (this.#state === "replying") this.#controller?.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#sink !== undefined) this.#flush(this.#sink);
  }

  abort(reason: Error): void {
    this.#giveUp(reason);
  }

  /** Gives the sink what was held, and the end once nothing is. */
  #flush(sink: ReplySink): void {
    const held = this.#held;
    if (held !== undefined) {
      let given = 0;
      while (given < held.length && !this.#paused) {
        const chunk = held[given++];
        if (chunk !== undefined && !sink.data(chunk)) this.#paused = true;
      }
      if (given < held.length) {
        this.#held = held.slice(given);
        return;
      }
      this.#held = undefined;
      this.#heldBytes = 0;
    }
    if (this.#state === "over") {
      if (this.#told) return;
      this.#told = true;
      if (this.#error === undefined) sink.end(this.#trailers);
      else sink.error(this.#error);
    } else if (!this.#paused && this.#controller?.paused === true) {
      this.#lastChunkMs = this.#candidate.pool.clock.now();
      this.#controller.resume();
    }
  }

  #release(): void {
    this.#candidate.pool.release();
    const { connection } = this;
    this.connection = undefined;
    connection?.release();
  }

  /**
   * Whether the connection that was to carry the request ended before it was begun. It goes on over another one, whatever its
   * method: that is no retry, for nothing was tried. Each such end uses up one idle connection, and a fresh one is given no
   * second chance, so it comes to an end.
   */
  #mayMove(error: Error): boolean {
    return this.#state === "waiting" && this.connection?.reused === true && isTerminated(errorCodeOf(error));
  }

  /** What the mesh says to itself counts from verified peers alone, and reaches no caller. */
  #heed({ refused, drains, retried }: ControlWords): void {
    const { pool } = this.#candidate;
    if (pool.verified) {
      if (refused) this.#attempt.progress = "refused";
      if (drains) pool.onDrainHint?.();
      this.#attempt.retriedBelow = retried;
    }
    this.rawHeaders = withoutControlHeaders(this.rawHeaders);
  }

  #giveUp(reason: unknown): void {
    if (this.#state === "over") return;
    // What its reader has not taken is of no use to a call that is given up.
    this.#held = undefined;
    this.#end(reason);
    if (this.upgraded !== undefined) this.upgraded.destroy();
    else if (this.#controller !== undefined) this.#abandon(this.#controller, asError(reason));
    else if (this.connection === undefined && this.#candidate.pool.withdraw(this)) this.#release();
  }

  /** Ends a discarded body that is not worth reading. */
  #cutShort(): void {
    if (this.#state === "over") return;
    this.#held = undefined;
    this.#end(undefined);
    if (this.#controller !== undefined) this.#abandon(this.#controller, new Error("the reply was discarded"));
  }

  #abandon(controller: Dispatcher.DispatchController, reason: Error): void {
    this.connection?.abandon();
    controller.abort(reason);
  }

  #fail(error: unknown, at: FailedAt): void {
    const attempt = this.#attempt;
    const code = errorCodeOf(error);
    // The peer said so before it read anything of the request: a handshake that failed late, not a request that failed.
    if (at === "sent" && isCertificateRefused(code)) attempt.progress = "not-sent";
    const { endpoint, pool } = this.#candidate;
    const where = `endpoint ${endpoint.id} at ${endpoint.address}:${endpoint.port}`;
    const failure = transportFailure(this.#call, error, at, { where, mtls: pool.verified });
    if (failure instanceof MeshError) attempt.code = failure.code;
    else if (code !== undefined) attempt.code = code;
    this.#end(failure);
  }

  /** The exchange is over: lets go of all that would keep the call alive, and tells whoever waits. */
  #end(failure: unknown): void {
    const waiting = this.#state === "waiting";
    this.#state = "over";
    this.#stopListening?.();
    this.#attempt.abort = undefined;
    this.#idleTimer?.cancel();
    if (failure !== undefined) this.#error = asError(failure);
    if (waiting) {
      this.#reject(failure);
      return;
    }
    if (this.#sink !== undefined) this.#flush(this.#sink);
    this.#onDone?.(this.#error);
  }

  #watchIdle(limitMs: number): void {
    if (limitMs === Number.POSITIVE_INFINITY || this.#state !== "replying") return;
    const { clock } = this.#candidate.pool;
    this.#lastChunkMs = clock.now();
    const check = (): void => {
      const silentMs = clock.now() - this.#lastChunkMs;
      if (this.#paused || silentMs < limitMs) {
        // A paused body is silent because its reader is slow, which is no fault of the peer.
        this.#idleTimer = clock.after(this.#paused ? limitMs : limitMs - silentMs, check);
        return;
      }
      this.#attempt.code = "IDLE_TIMEOUT";
      this.#giveUp(
        failCall(
          this.#call,
          "IDLE_TIMEOUT",
          `the body of the reply of endpoint ${this.#candidate.endpoint.id} was silent for ${limitMs} ms`,
          { hint: "idleTimeout of the Route or of the mesh's defaults sets the limit" },
        ),
      );
    };
    this.#idleTimer = clock.after(limitMs, check);
  }
}

/** The call's headers, then the attempt's own. */
const headersOf = (call: Call, attempt: Attempt): string[] => [
  "host",
  call.sentAuthority,
  ...call.sentHeaders,
  ...attempt.headers,
];

const asError = (reason: unknown): Error =>
  reason instanceof Error ? reason : new Error(`given up: ${String(reason)}`, { cause: reason });
