import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { MeshError } from "@tulle/policy";
import type { Dispatcher } from "undici";
import type { Candidate } from "../endpoints/endpoint-set.ts";
import { failCall } from "../failure.ts";
import type { Reply } from "../reply.ts";
import type { Attempt, Call, Carrier } from "../send.ts";
import { type ControlWords, takeControlHeaders, withoutControlHeaders } from "./control-headers.ts";
import type { DestinationUsage } from "./destination-usage.ts";
import { errorCodeOf } from "./error-code.ts";
import type { ExchangeConnection, PooledHandler } from "./pooled-client.ts";
import { ReplyBody } from "./reply-body.ts";
import { type FailedAt, isCertificateRefused, isTerminated, transportFailure } from "./transport-failure.ts";

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

/**
 * One request and its reply. At once undici's handler, the reply and the flow of its body: one object per attempt instead of
 * three and a closure for each event.
 */
class Exchange extends ReplyBody implements PooledHandler, Reply {
  status = 0;
  statusText = "";
  rawHeaders: readonly (string | Buffer)[] = [];
  headers: Record<string, string | string[] | undefined> = {};
  connection: ExchangeConnection | undefined = undefined;
  upgraded: Duplex | undefined = undefined;
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #candidate: Candidate;
  readonly #limits: ExchangeLimits;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (reason: unknown) => void;
  #stopListening: (() => void) | undefined = undefined;

  constructor(
    call: Call,
    attempt: Attempt,
    candidate: Candidate,
    limits: ExchangeLimits,
    resolve: (reply: Reply) => void,
    reject: (reason: unknown) => void,
  ) {
    super(candidate.pool.clock, limits.idleTimeoutMs);
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
    if (this.state !== "over") this.#send();
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
    return this.controller !== undefined;
  }

  get awaitsReply(): boolean {
    return this.controller !== undefined && this.state === "waiting";
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
    if (this.state !== "over") this.#fail(error, "queued");
  }

  unprocessed(error: Error): void {
    this.#release();
    if (this.state !== "waiting") return;
    this.#attempt.progress = "refused";
    this.#fail(error, "sent");
  }

  // The events of undici, in the order in which they come.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Thrown, not aborted: aborting would close a connection that has not been used.
    if (this.state === "over") throw this.error ?? new Error("given up");
    if (this.#attempt.progress === "not-sent") this.#attempt.progress = "sent";
    else {
      this.#candidate.pool.counters.undiciReplays++;
      this.#limits.onReplay?.();
    }
    this.controller = controller;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    statusText = "",
  ): void {
    this.connection?.noteHeard();
    if (this.state !== "waiting") return;
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
    if (this.state === "over") {
      socket.destroy();
      this.#release();
      return;
    }
    this.upgraded = socket;
    this.connection?.detach();
    this.#candidate.pool.keepUpgraded(socket, () => {
      this.#release();
      if (this.state !== "over") this.#end(undefined);
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
    const said = takeControlHeaders(headers, this.#candidate.pool.verified);
    if (said !== undefined) this.#heed(said);
    this.state = "replying";
    this.#resolve(this);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.connection?.noteHeard();
    if (this.receive(controller, chunk)) this.#candidate.pool.counters.earlyBodyFull++;
  }

  onResponseEnd(
    _controller: Dispatcher.DispatchController,
    trailers: Record<string, string | string[] | undefined>,
  ): void {
    this.#release();
    if (this.state === "over") return;
    // Values of a parsed list are never undefined.
    this.receiveTrailers(trailers as Record<string, string | string[]>);
    this.#end(undefined);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.started) this.connection?.spoil();
    else if (this.#endedUnused(error)) {
      this.#candidate.pool.counters.unsentReplays++;
      this.#release();
      this.#send();
      return;
    }
    this.#release();
    if (this.state === "over") return;
    this.#fail(error, this.state === "replying" ? "replying" : this.controller === undefined ? "queued" : "sent");
  }

  // The reply.

  discard(): void {
    if (this.upgraded === undefined) this.discardBody(Number(this.headers["content-length"] ?? 0));
    else this.upgraded.destroy();
  }

  abort(reason: Error): void {
    this.#giveUp(reason);
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
  #endedUnused(error: Error): boolean {
    return this.state === "waiting" && this.connection?.reused === true && isTerminated(errorCodeOf(error));
  }

  /** What the mesh says to itself counts from verified peers alone, and reaches no caller. */
  #heed({ refused, drains, retried, load, degraded }: ControlWords): void {
    const { pool } = this.#candidate;
    if (pool.verified) {
      if (refused) this.#attempt.progress = "refused";
      if (drains) pool.onDrainHint?.();
      if (degraded !== undefined) pool.onDegradedHint?.(degraded);
      this.#attempt.retriedBelow = retried;
      this.#attempt.loadReport = load;
    }
    this.rawHeaders = withoutControlHeaders(this.rawHeaders, pool.verified);
  }

  #giveUp(reason: unknown): void {
    if (this.state === "over") return;
    this.forget();
    this.#end(reason);
    if (this.upgraded !== undefined) this.upgraded.destroy();
    else if (this.controller !== undefined) this.#abandon(this.controller, asError(reason));
    else if (this.connection === undefined && this.#candidate.pool.withdraw(this)) this.#release();
  }

  protected override cutShort(): void {
    if (this.state === "over") return;
    this.forget();
    this.#end(undefined);
    if (this.controller !== undefined) this.#abandon(this.controller, new Error("the reply was discarded"));
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
    const waiting = this.state === "waiting";
    this.state = "over";
    this.#stopListening?.();
    this.#attempt.abort = undefined;
    this.stopWatching();
    if (failure !== undefined) this.error = asError(failure);
    if (waiting) {
      this.#reject(failure);
      return;
    }
    this.tellEnd();
  }

  protected override silentFor(limitMs: number): void {
    this.#attempt.code = "IDLE_TIMEOUT";
    this.#giveUp(
      failCall(
        this.#call,
        "IDLE_TIMEOUT",
        `the body of the reply of endpoint ${this.#candidate.endpoint.id} was silent for ${limitMs} ms`,
        { hint: "idleTimeout of the Route or of the mesh's defaults sets the limit" },
      ),
    );
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
