import type { IncomingMessage } from "node:http";
import type { Context, Span } from "@opentelemetry/api";
import { MeshError, type MtlsMode, type VerifiedToken } from "@tulle/policy";
import type { Clock, Timer } from "@tulle/time";
import type { Connection } from "./connection.ts";
import {
  ATTEMPT_COUNT_HEADER,
  FIRST_SENT_HEADER,
  LOAD_REPORT_FORMAT,
  LOAD_REPORT_FORMAT_HEADER,
} from "./control-headers.ts";
import type { ListenerKind, Peer, Permit, Refusal, RouteDecision, Visit } from "./gate.ts";
import type { LoadReports } from "./load-report.ts";

/** What a listener tells the requests that come in by it. */
export interface ListenerState {
  readonly kind: ListenerKind;
  /** The port of the mesh's listener, once it is bound. */
  port?: number;
  /** Replies close their connections and tell peers to look elsewhere; requests are still served. */
  draining: boolean;
  /** The end: what has not begun is refused. */
  closed: boolean;
}

/** What a visit is made of. */
export interface VisitSeed {
  readonly request: IncomingMessage;
  /** `undefined` for a path that no rule can be trusted with. */
  readonly path: string | undefined;
  readonly startedAtMs: number;
  readonly listener: ListenerState;
  readonly mtls: MtlsMode;
  readonly connection: Connection;
}

/** A visit with what only the server's own files see of it. */
export class OpenVisit implements Visit {
  readonly request: IncomingMessage;
  readonly method: string;
  readonly path: string;
  readonly startedAtMs: number;
  readonly listenerState: ListenerState;
  readonly mtls: MtlsMode;
  readonly connection: Connection;
  /** The trace parent as the caller wrote it, read before the gates take it from strangers. */
  readonly offeredTrace: string | string[] | undefined;
  peer: Peer | undefined = undefined;
  trusted = false;
  token: VerifiedToken | undefined = undefined;
  permit: Permit | undefined = undefined;
  deadlineMs: number | undefined = undefined;
  context: Context | undefined = undefined;
  route: string | undefined = undefined;
  decideRoute: RouteDecision | undefined = undefined;
  open = true;
  span: Span | undefined = undefined;
  /** What a gate said, also where it was only noted. */
  refusal: Refusal | undefined = undefined;
  /** Whether it was admitted. */
  served = false;
  /** What comes of it, while a gate is waited for and after. Absent where all gates answered at once. */
  admission: Promise<OpenVisit | undefined> | undefined;
  /** Hears when the handler itself refuses. Set when it is admitted. */
  onDenied: ((refusal: Refusal) => void) | undefined;
  retriedInVain = false;
  /** Where the server tells callers how busy it is. Set when it is admitted. */
  load: LoadReports | undefined = undefined;
  /** How many others were in flight when it came. */
  found = 0;
  readonly #clock: Clock;
  #abort: AbortController | undefined;
  #timer: Timer | undefined;
  #callerGone = false;
  #answered = false;

  constructor(seed: VisitSeed, clock: Clock) {
    this.request = seed.request;
    this.method = seed.request.method ?? "GET";
    this.path = seed.path ?? "";
    this.offeredTrace = seed.request.headers.traceparent;
    this.startedAtMs = seed.startedAtMs;
    this.listenerState = seed.listener;
    this.mtls = seed.mtls;
    this.connection = seed.connection;
    this.#clock = clock;
  }

  get listener(): ListenerKind {
    return this.listenerState.kind;
  }

  get late(): boolean {
    return this.listenerState.closed;
  }

  get isRetry(): boolean {
    const { headers } = this.request;
    return this.trusted && Number(headers[ATTEMPT_COUNT_HEADER] ?? 1) > 1 && headers[FIRST_SENT_HEADER] === undefined;
  }

  /**
   * The answer's headers are on their way: the caller's deadline is kept, for it may run until the headers only. A caller that wants
   * the whole body within it closes its connection.
   */
  answerBegins(status: number): void {
    this.deadlineMs = undefined;
    this.#timer?.cancel();
    if (!this.#answered) this.load?.answered(this.found, this.#clock.now() - this.startedAtMs, status);
    this.#answered = true;
  }

  /** How busy the process is, for a verified caller that asks; nobody else is told. */
  get loadReport(): string | undefined {
    if (!this.trusted || this.load === undefined) return undefined;
    return this.request.headers[LOAD_REPORT_FORMAT_HEADER] === LOAD_REPORT_FORMAT ? this.load.report() : undefined;
  }

  noteRetriedInVain(): void {
    this.retriedInVain = true;
  }

  deny(refusal: Refusal): void {
    this.refusal = refusal;
    this.onDenied?.(refusal);
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#callerGone) this.#abort.abort(callerGone());
      else this.#awaitDeadline();
    }
    return this.#abort.signal;
  }

  /** It was admitted, and the deadline that the last gate took over counts, also where an earlier gate asked for the signal. */
  serve(): void {
    this.served = true;
    if (this.#abort !== undefined && this.#timer === undefined) this.#awaitDeadline();
  }

  #awaitDeadline(): void {
    if (!this.open || this.deadlineMs === undefined) return;
    this.#timer = this.#clock.after(Math.max(0, this.deadlineMs - this.#clock.now()), () =>
      this.#abort?.abort(deadlinePassed()),
    );
  }

  /** The answer is over, or the caller went away before it was. */
  end(outcome: "answered" | "caller-gone"): void {
    this.open = false;
    this.#timer?.cancel();
    this.load?.leave();
    this.load = undefined;
    if (outcome === "caller-gone") {
      this.#callerGone = true;
      this.#abort?.abort(callerGone());
    }
  }
}

const callerGone = (): DOMException => new DOMException("the caller closed its connection", "AbortError");

const deadlinePassed = (): MeshError =>
  new MeshError("DEADLINE_SPENT", { message: "the caller's time ran out while the visit was served" });

const visitKey = Symbol("tulle.visit");

type VisitedRequest = IncomingMessage & { [visitKey]?: OpenVisit };

/** Ties a visit to its request. */
export const rememberVisit = (visit: OpenVisit): void => {
  (visit.request as VisitedRequest)[visitKey] = visit;
};

/** The visit that a request became, if the gates have seen it. */
export const visitOf = (request: IncomingMessage): OpenVisit | undefined => (request as VisitedRequest)[visitKey];
