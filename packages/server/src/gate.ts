import type { IncomingMessage } from "node:http";
import type { Context } from "@opentelemetry/api";
import type { MeshErrorCode, MtlsMode, VerifiedToken } from "@tulle/policy";

/** How the caller is connected and who it proved to be. */
export interface Peer {
  /** SPIFFE ID out of the verified certificate, `undefined` for strangers. */
  readonly spiffeId: string | undefined;
  readonly trustDomain: string | undefined;
  readonly namespace: string | undefined;
  readonly serviceAccount: string | undefined;
  readonly address: string | undefined;
  readonly transport: "mtls" | "tls" | "plaintext";
}

/** The kind of listener that a request came in by: the mesh's port, a public one, or one that the service keeps itself. */
export type ListenerKind = "mesh" | "public" | "own";

/** One incoming request as the gates see it; gates add evidence. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly method: string;
  /** Normalised, without query; empty when it is malformed, so that no rule can be trusted with it. */
  readonly path: string;
  readonly startedAtMs: number;
  /** The kind of listener it came in by. */
  readonly listener: ListenerKind;
  readonly mtls: MtlsMode;
  /** Whether its listener was closed before it came. */
  readonly late: boolean;
  peer: Peer | undefined;
  /** Whether the peer proved an identity of our own trust domain: only then do its control headers count. */
  trusted: boolean;
  /** The end user, by the token that the authenticate gate proved; `undefined` where the request has none. */
  token: VerifiedToken | undefined;
  permit: Permit | undefined;
  /** Clock milliseconds by which the caller wants its answer; `undefined` without such a wish, and once the answer has begun. */
  deadlineMs: number | undefined;
  /** OpenTelemetry context of the server's span. */
  context: Context | undefined;
  /** Route template, told by a framework's middleware. */
  route: string | undefined;
  /**
   * Decides again when the framework has found a route, or answers without one; for rules that name routes. Absent where none
   * does. Asked once for each route that the framework tries.
   */
  decideRoute: RouteDecision | undefined;
  /** False once the answer is over: what was inherited from it no longer counts. */
  open: boolean;
  /** Whether it is a retry or a hedge of a verified peer, by that peer's word. */
  readonly isRetry: boolean;
  /** A call that it made was retried in vain: where the answer is an error, its caller is told not to try again in turn. */
  noteRetriedInVain(): void;
  /** Aborts when the caller is gone or the deadline has passed. Made when first asked for. */
  readonly signal: AbortSignal;
  /** The handler itself refuses: for telemetry, and for the answer where no framework writes it. */
  deny(refusal: Refusal): void;
}

/** Evidence that a visit may be served: which policy and rule let it in. Made by the authorize gate only. */
export interface Permit {
  readonly by: "default" | { readonly policy: string; readonly rule: string };
  readonly peer: Peer;
  /**
   * A check of the handler's own, on data that no policy knows: `permit.require(review.owner === user, "not the owner")`.
   * Where the condition does not hold the visit is refused with 403, counted like a gate's refusal, and the reason told to
   * peers of the mesh alone.
   *
   * @throws MeshError ACCESS_DENIED, which frameworks answer by its status. Call it before the answer begins.
   */
  require(condition: unknown, reason: string): asserts condition;
}

/**
 * The route that a framework has found: its template; several where it has more than one and nobody tells which was found; an
 * empty list where it has none that can be written, such as one of a regular expression; `undefined` for no route.
 */
export type FoundRoute = string | readonly string[] | undefined;

/** Refuses, or lets a route be served. @param mount the beginning of its template, where that is written as it was requested */
export type RouteDecision = (route: FoundRoute, mount?: string) => Refusal | undefined;

/** A gate's no. Only `refusal.ts` turns it into an answer. */
export interface Refusal {
  readonly code: MeshErrorCode;
  /** For peers in the mesh and for telemetry: names policy, rule and origin. Strangers are told nothing. */
  readonly detail: string;
  readonly policy?: string;
  readonly rule?: string;
  /** What `www-authenticate` says to whoever was refused for a token. */
  readonly challenge?: string;
  /** What is answered instead of the code's own status. */
  readonly status?: number;
  /** What is answered to everybody, where somebody else wrote the answer. */
  readonly answer?: { readonly headers: readonly (readonly [string, string])[]; readonly body: Uint8Array };
}

/**
 * Admits (`undefined`), or refuses. A gate that can answer at once does, for then no promise is made for the request; what
 * must ask elsewhere answers later, ends its wait when `visit.signal` aborts, and never rejects: it refuses.
 */
export type Gate = (visit: Visit) => Refusal | undefined | Promise<Refusal | undefined>;
