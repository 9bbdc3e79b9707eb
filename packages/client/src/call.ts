import type { Context } from "@opentelemetry/api";
import type { AttemptSummary, Endpoint, MeshError, RouteMatch, RouteQuestion, ServiceKey } from "@tulle/policy";
import { CallCancellation } from "./cancellation.ts";
import type { Attempt, Call, CallOptions, CallPlan, Inherited, NoRetry } from "./send.ts";

/** Where results and failures of a call keep it, for explanations; the same in every copy of the package. */
export const callKey: symbol = Symbol.for("tulle.call");

/** What a face knows of a call. */
export interface CallStart {
  readonly method: string;
  /** As the caller wrote it. @default "http" */
  readonly scheme?: Call["scheme"];
  readonly authority: string;
  readonly port: number;
  readonly path: string;
  readonly service: ServiceKey;
  readonly headers: string[];
  readonly body: Call["body"];
  readonly replayable: boolean;
  readonly options: CallOptions;
  readonly startedAtMs: number;
  readonly inherited: Inherited | undefined;
}

/** One call. Every field is set here, in one order, so that all calls have one hidden class. */
export class MeshCall implements Call, RouteQuestion {
  readonly method: string;
  readonly scheme: Call["scheme"];
  readonly authority: string;
  readonly port: number;
  readonly path: string;
  readonly service: ServiceKey;
  readonly headers: readonly string[];
  sentAuthority: string;
  sentPath: string;
  sentHeaders: readonly string[];
  readonly body: Call["body"];
  readonly replayable: boolean;
  readonly options: CallOptions;
  readonly startedAtMs: number;
  readonly inherited: Inherited | undefined;
  isGrpc = false;
  deadlineMs: number = Number.POSITIVE_INFINITY;
  subset: string | undefined = undefined;
  rule: string | undefined = undefined;
  match: RouteMatch | undefined = undefined;
  revision: string | undefined = undefined;
  answer: string | undefined = undefined;
  failureHeaders: Call["failureHeaders"] = undefined;
  givenCookies: Call["givenCookies"] = undefined;
  sessionEndpoint: Call["sessionEndpoint"] = undefined;
  injectedDelayMs = 0;
  injectedAbort = false;
  shadow = false;
  noRetry: NoRetry | undefined = undefined;
  plan: CallPlan | undefined = undefined;
  context: Context | undefined = undefined;
  readonly attempts: Attempt[] = [];
  readonly cancel: CallCancellation = new CallCancellation();
  /** How the mesh failed it, kept for explanations of an answer that stands for the failure. Set by the faces. */
  failure: MeshError | undefined = undefined;
  upgrade: Call["upgrade"] = undefined;
  informed: Call["informed"] = undefined;
  carrier: Call["carrier"] = undefined;

  constructor(start: CallStart) {
    this.method = start.method;
    this.authority = start.authority;
    this.scheme = start.scheme ?? "http";
    this.port = start.port;
    this.path = start.path;
    this.service = start.service;
    this.headers = start.headers;
    this.sentAuthority = start.authority;
    this.sentPath = start.path;
    this.sentHeaders = start.headers;
    this.body = start.body;
    this.replayable = start.replayable;
    this.options = start.options;
    this.startedAtMs = start.startedAtMs;
    this.inherited = start.inherited;
  }

  header(name: string): string | undefined {
    return headerOf(this.headers, name);
  }
}

// undici hands the call to its users as the `context` of a reply.
Object.defineProperty(MeshCall.prototype, callKey, {
  get(this: MeshCall) {
    return this;
  },
});

/** Makes a failure or a reply of the mesh's own tell its call. */
export const belongsTo = (result: object, call: MeshCall): void => {
  Object.defineProperty(result, callKey, { value: call, configurable: true });
};

/** The value of a header in a flat list, by its lower-case name; several values are joined with ",". */
export const headerOf = (headers: readonly string[], name: string): string | undefined => {
  let found: string | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    const each = headers[at];
    if (each === undefined || each.length !== name.length || each.toLowerCase() !== name) continue;
    const value = headers[at + 1] ?? "";
    found = found === undefined ? value : `${found},${value}`;
  }
  return found;
};

/** Whether a call's routes may be asked about it: the faces make nothing else. */
export const questionOf = (call: Call): RouteQuestion => {
  if (call instanceof MeshCall) return call;
  const { method, path, scheme, authority, port } = call;
  return { method, path, scheme, authority, port, header: (name) => headerOf(call.headers, name) };
};

/** One attempt, numbered by its place among the call's attempts. */
class CallAttempt implements Attempt {
  readonly number: number;
  endpoint: string | undefined = undefined;
  chosen: Endpoint | undefined = undefined;
  progress: AttemptSummary["progress"] = "not-sent";
  durationMs = 0;
  readonly startedAtMs: number;
  headers: string[] = [];
  abort: ((reason: Error) => void) | undefined = undefined;
  isolated = false;
  retriedBelow = false;
  loadReport: string | undefined = undefined;
  readonly waitedMs: number;

  constructor(number: number, startedAtMs: number, waitedMs: number) {
    this.number = number;
    this.startedAtMs = startedAtMs;
    this.waitedMs = waitedMs;
  }
}

/** Begins an attempt and notes it on its call. */
export const beginAttempt = (call: Call, nowMs: number, waitedMs = 0): Attempt => {
  const attempt = new CallAttempt(call.attempts.length + 1, nowMs, waitedMs);
  call.attempts.push(attempt);
  return attempt;
};
