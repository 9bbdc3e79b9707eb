import type { Context } from "@opentelemetry/api";
import type { AttemptSummary, Endpoint, HeaderListChange, RouteMatch, ServiceKey } from "@tulle/policy";
import type { Dispatcher } from "undici";
import type { Candidate } from "./endpoints/endpoint-set.ts";
import type { Reply } from "./reply.ts";
import type { NoRetryReason } from "./retry/retryable.ts";

/** Schemes of URLs that the mesh takes. */
export type UrlScheme = "http" | "https";

/** What a caller may say for one call; each field wins over the policy. */
export interface CallOptions {
  /** The whole call, `"2s"` or milliseconds; `0` turns it off. */
  readonly timeout?: string | number;
  readonly attemptTimeout?: string | number;
  /** `false` turns retries off; a number sets how many. */
  readonly retry?: boolean | number;
  /** `false` turns hedging off, where the rule asks for it. */
  readonly hedge?: false;
  /** Whether the mesh's own failures reject (`"error"`) or answer as a proxy would (`"response"`). */
  readonly localReplies?: "error" | "response";
}

/**
 * One call as the mesh sees it, whichever face it came through. An object of fixed shape that lives as long as the call;
 * layers write the fields that are theirs and never copy it.
 */
export interface Call {
  readonly method: string;
  /** Of the URL, as the caller wrote it: the mesh encrypts either. */
  readonly scheme: UrlScheme;
  /** Host as the caller wrote it, with the port if there was one. Failures, telemetry and explanations name it. */
  readonly authority: string;
  /** The service port: that of the URL, or the scheme's. */
  readonly port: number;
  /** Path and query as the caller wrote them, beginning with "/". */
  readonly path: string;
  readonly service: ServiceKey;
  /** As the caller gave them. Flat list of names and values: `["accept", "text/html", ...]`. Rules match these. */
  readonly headers: readonly string[];
  /** What is sent as Host: {@link authority} until a rule rewrites it. */
  sentAuthority: string;
  /** Path and query that are sent: {@link path} until a rule rewrites it. */
  sentPath: string;
  /**
   * Headers that are sent: {@link headers} until a rule changes them; whoever changes them sets a new list. Control headers
   * are added by the layers that own them.
   */
  sentHeaders: readonly string[];
  readonly body: Dispatcher.DispatchOptions["body"];
  /** Whether `body` can be sent again: absent, a string, or bytes up to the replay bound. */
  readonly replayable: boolean;
  readonly options: CallOptions;
  readonly startedAtMs: number;
  /** Deadline and trace of the visit in whose context the call was made; read once, when the call begins. */
  readonly inherited: Inherited | undefined;
  /** Whether it is a gRPC call, which learns of its deadline in gRPC's header too. Set by the deadline layer. */
  isGrpc: boolean;
  /** Clock milliseconds by which the call must be over, `Infinity` without a limit. Set by the deadline layer. */
  deadlineMs: number;
  /** Set once by the split layer. */
  subset: string | undefined;
  /** Set by the routing: `route/rule`, for telemetry and explanations. */
  rule: string | undefined;
  /** The alternative of the rule that the call met, `undefined` for a rule for every call. Set by the routing. */
  match: RouteMatch | undefined;
  /** The policy revision in force when the call was routed. Set by the routing. */
  revision: string | undefined;
  /** What of its rule answered instead of a service, in words, such as `redirect`. Set by whoever answers. */
  answer: string | undefined;
  /** How long a fault held it up, milliseconds; no part of its rule's timeout. Set by the fault layer. */
  injectedDelayMs: number;
  /** Whether a fault answered it. Set by the fault layer. */
  injectedAbort: boolean;
  /** Whether it is the copy of a call. Set by the mirror layer. */
  shadow: boolean;
  /** Why a failed attempt was the last one, for explanations. Set by the retry or hedge layer. */
  noRetry: NoRetry | undefined;
  /** What its rule changes of a reply that stands for its failure. Set by the layers that change replies, when it fails. */
  failureHeaders: HeaderListChange | undefined;
  /** Cookies that its reply will set, for the hash of this call already. Set by the hash cookie layer. */
  givenCookies: ReadonlyMap<string, string> | undefined;
  /** Tag of the endpoint that its session stays with; `undefined`: of none. Set by the split layer. */
  sessionEndpoint: string | undefined;
  /** What the call was decided by, for explanations. Set by the split layer. */
  plan: CallPlan | undefined;
  /** OpenTelemetry context of the call's span, or what the caller had; set by the observe layer. */
  context: Context | undefined;
  /** Every attempt, in the order of their starts. */
  readonly attempts: Attempt[];
  /** Aborts the whole call: the caller's signal, the deadline. Listeners are removed when the call is over. */
  readonly cancel: Cancellation;
  /** The protocol that the connection is to change to, as in the `upgrade` header. Set by the face. */
  upgrade: string | undefined;
  /** Who wants to know of replies before the final one. Set by the face; each attempt may bring some. */
  informed: Informed | undefined;
  /** Who sends the call's attempts instead of undici. Set by the face; `undefined` for nearly every call. */
  carrier: Carrier | undefined;
}

/** Sends attempts that undici cannot send: those of a request whose bytes `node:http` writes itself. */
export interface Carrier {
  /** Settles as {@link AttemptSend} does; keeps the attempt's progress as the dispatch would. */
  carry(call: Call, attempt: Attempt, candidate: Candidate): Promise<Reply>;
}

/** Hears of informational replies (1xx), such as 103 Early Hints; never of 101, which ends in {@link Reply.upgraded}. */
export interface Informed {
  onInformation(
    status: number,
    headers: Record<string, string | string[] | undefined>,
    rawHeaders: readonly (string | Buffer)[],
  ): void;
}

/** What the visit in whose context a call is made hands down to it. */
export interface Inherited {
  /** Clock milliseconds. */
  readonly deadlineMs: number | undefined;
  readonly context: Context | undefined;
  /** Whether the visit is itself a retry or a hedge of a verified peer. @default false */
  readonly isRetry?: boolean;
  /** Tells the visit that a call it made was retried in vain, here or further on: its own caller need not try again. */
  noteRetriedInVain?(): void;
}

/** Why a failed attempt was the last one. */
export type NoRetry =
  | NoRetryReason
  /** The budget refused it: the code that is counted and explained. */
  | "OVERFLOW_RETRIES"
  /** It could not have ended before the deadline. */
  | "no-time"
  /** The server asked for none, or for a longer wait than anybody keeps. */
  | "server-asked"
  /** As many as the policy allows were made. */
  | "limit";

/** The compiled decision that a call runs under. Explanations read it; no layer does. */
export interface CallPlan {
  /** The service that answers; a split may name another than was called. */
  readonly destination: ServiceKey;
  readonly subset: string | undefined;
}

/** One try of a call on one endpoint. Handed down beside the call, so that two attempts can run at once. */
export interface Attempt extends AttemptSummary {
  readonly number: number;
  /** Set by the pick layer: the id of {@link chosen}. */
  endpoint: string | undefined;
  /** Set by the pick layer. */
  chosen: Endpoint | undefined;
  /** Written by the dispatch. */
  progress: AttemptSummary["progress"];
  status?: number;
  code?: string;
  durationMs: number;
  readonly startedAtMs: number;
  /** Headers of this attempt alone (attempt count, trace context); the dispatch sends them after the call's. */
  headers: string[];
  /** Set by the dispatch while it is under way: gives up this attempt and leaves the call alone. */
  abort: ((reason: Error) => void) | undefined;
  /** Set by the pick layer: it failed because of its endpoint alone, while others of the destination can be reached. */
  isolated: boolean;
  /** A verified peer's word that a hop further on was retried in vain. Set by the dispatch. */
  retriedBelow: boolean;
  /** How busy a verified peer said it is, in ORCA's words, where it was asked. Set by the dispatch. */
  loadReport: string | undefined;
  /** How long the retry layer waited before it, milliseconds. */
  readonly waitedMs: number;
}

/** Why a call was given up, and who wants to know. Cheaper than an AbortController per call. */
export interface Cancellation {
  /** The reason, once cancelled: what the caller is rejected with. */
  readonly reason: unknown;
  readonly cancelled: boolean;
  cancel(reason: unknown): void;
  /** Calls `listener` once, at once when already cancelled. Returns the way to stop listening. */
  onCancel(listener: (reason: unknown) => void): () => void;
}

/**
 * Sends a call and settles when the reply's headers are there. Until then a layer may retry, hedge or refuse; after that
 * the reply is committed to its caller.
 *
 * @throws MeshError for the mesh's own failures, the abort reason for aborts.
 */
export type Send = (call: Call) => Promise<Reply>;

/** Sends one attempt of a call: what the layers below the retry are made of. */
export type AttemptSend = (call: Call, attempt: Attempt) => Promise<Reply>;

/** A step around sending a call. A layer that has nothing to do after the reply returns `next(call)` untouched. */
export type Layer = (next: Send) => Send;

/** A step around sending one attempt. */
export type AttemptLayer = (next: AttemptSend) => AttemptSend;

/** The step from calls to attempts: the retry, or the hedge where a rule asks for it. */
export type AttemptsLayer = (next: AttemptSend) => Send;

/** Puts layers around `send`, first layer outermost: the list reads in the order in which a call meets them. */
export const chain = <S>(layers: readonly ((next: S) => S)[], send: S): S =>
  layers.reduceRight((next, layer) => layer(next), send);
