import type { IncomingMessage } from "node:http";
import type { AccessAsk, EffectiveAuthorizer } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { isControlHeader } from "./control-headers.ts";
import type { ServerCounters } from "./counters.ts";
import type { Refusal, Visit } from "./gate.ts";
import { placeOf } from "./gates/authorize.ts";
import { addHeader, takeHeadersOut } from "./header-views.ts";

/** A question to an authorizer, ready to be sent. */
export interface AuthorizerCall {
  readonly method: string;
  /** Where it goes: the authorizer's origin with the prefix and the call's own path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Aborts when the time is over or the caller gone. */
  readonly signal: AbortSignal;
}

/** An authorizer's answer. */
export interface AuthorizerAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Cut, or refused, beyond a bound of the sender's. */
  readonly body: Uint8Array;
}

/** Sends a question over HTTP. Follows no redirects, for they are answers. Rejects where there is no answer. */
export type SendToAuthorizer = (call: AuthorizerCall) => Promise<AuthorizerAnswer>;

/** Those outside who are asked whether calls may pass. */
export class ExternalAuthorizers {
  readonly #clock: Clock;
  readonly #counters: ServerCounters;
  readonly #send: SendToAuthorizer | undefined;
  /** Calls that each is asked about now. */
  readonly #asking = new Map<string, number>();

  /** @param send absent: nobody can be asked, and every question fails. */
  constructor(clock: Clock, counters: ServerCounters, send: SendToAuthorizer | undefined) {
    this.#clock = clock;
    this.#counters = counters;
    this.#send = send;
  }

  /** Asks one about a visit; `undefined`: it may pass. Never rejects. */
  async ask(ask: AccessAsk, authorizer: EffectiveAuthorizer | undefined, visit: Visit): Promise<Refusal | undefined> {
    const { authorizer: name } = ask;
    if (authorizer === undefined) return this.#failed(ask, undefined, `the Mesh policy has no authorizer "${name}"`);
    const asking = this.#asking.get(name) ?? 0;
    if (asking >= authorizer.maxConcurrent) {
      this.#counters.authorizerOverflows++;
      return this.#failed(ask, authorizer, `it is asked about ${asking} calls already`);
    }
    this.#asking.set(name, asking + 1);
    this.#counters.authorizerCalls++;
    try {
      const answer = await this.#answerOf(authorizer, visit);
      if (answer.status === ALLOWED) {
        takeHeaders(visit.request, answer, authorizer.headersToUpstreamOnAllow);
        return undefined;
      }
      if (answer.status >= 500) return this.#failed(ask, authorizer, `it answers ${answer.status}`);
      this.#counters.authorizerDenials++;
      return denialOf(ask, authorizer, answer);
    } catch (error) {
      return this.#failed(ask, authorizer, error instanceof Error ? error.message : String(error));
    } finally {
      const left = (this.#asking.get(name) ?? 1) - 1;
      if (left === 0) this.#asking.delete(name);
      else this.#asking.set(name, left);
    }
  }

  async #answerOf(authorizer: EffectiveAuthorizer, visit: Visit): Promise<AuthorizerAnswer> {
    if (this.#send === undefined) throw new Error("this server was given no way to ask");
    const abort = new AbortController();
    const timer = this.#clock.after(authorizer.timeoutMs, () =>
      abort.abort(new Error(`it did not answer within ${authorizer.timeoutMs} ms`)),
    );
    const { signal } = visit;
    const gone = (): void => abort.abort(signal.reason);
    if (signal.aborted) gone();
    else signal.addEventListener("abort", gone, { once: true });
    try {
      return await raced(this.#send(callOf(authorizer, visit, abort.signal)), abort.signal);
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", gone);
    }
  }

  #failed(ask: AccessAsk, authorizer: EffectiveAuthorizer | undefined, why: string): Refusal | undefined {
    this.#counters.authorizerFailures++;
    if (authorizer?.failOpen === true) {
      this.#counters.authorizerFailedOpen++;
      return undefined;
    }
    return {
      ...refusalOf(ask, `the authorizer "${ask.authorizer}" could not be asked: ${why}`),
      ...(authorizer === undefined ? {} : { status: authorizer.statusOnError }),
    };
  }
}

const ALLOWED = 200;

const refusalOf = ({ policy, rule, origin }: AccessAsk, what: string): Refusal => ({
  code: "ACCESS_DENIED",
  detail: `${policy} rule ${rule}: ${what}${placeOf(origin)}`,
  policy,
  rule,
});

/** Settles with the answer, or with the signal, whatever the sender does with it. */
const raced = <T>(answer: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    answer.then(resolve, reject);
  });

const callOf = (
  { url, pathPrefix, includeRequestHeaders, includeAdditionalHeaders }: EffectiveAuthorizer,
  { request, method }: Visit,
  signal: AbortSignal,
): AuthorizerCall => {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value === undefined || !(alwaysSent.has(name) || isNamed(name, includeRequestHeaders))) continue;
    if (neverSent.has(name) || name.startsWith(":")) continue;
    headers[name] = typeof value === "string" ? value : value.join(",");
  }
  const authority = request.headers[":authority"];
  if (typeof authority === "string") headers.host = authority;
  for (const [name, value] of Object.entries(includeAdditionalHeaders)) headers[name.toLowerCase()] = value;
  // CONNECT and OPTIONS * have no path; whoever answers for those is asked about the root.
  const target = request.url?.startsWith("/") === true ? request.url : "/";
  return { method: method === "CONNECT" ? "GET" : method, url: `${url.origin}${pathPrefix}${target}`, headers, signal };
};

/** Envoy sends these whatever is named. */
const alwaysSent: ReadonlySet<string> = new Set(["host", "authorization"]);

/** They speak of the connection or of a body that is not sent. */
const neverSent: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const isNamed = (name: string, patterns: readonly string[]): boolean => {
  for (const pattern of patterns) {
    if (pattern.startsWith("*") ? name.endsWith(pattern.slice(1)) : false) return true;
    if (pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern) return true;
  }
  return false;
};

const valuesOf = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === "string" ? [value] : value;

/** What it says of the caller stands in the place of what the caller said. */
const takeHeaders = (request: IncomingMessage, { headers }: AuthorizerAnswer, named: readonly string[]): void => {
  if (named.length === 0) return;
  for (const [written, value] of Object.entries(headers)) {
    const name = written.toLowerCase();
    // What only peers may say nobody else says, not even an authorizer.
    if (!isNamed(name, named) || neverSent.has(name) || isControlHeader(name)) continue;
    const values = valuesOf(value);
    if (values.length === 0) continue;
    takeHeadersOut(request, (each) => each === name);
    addHeader(request, name, values.join(", "));
  }
};

const denialOf = (ask: AccessAsk, authorizer: EffectiveAuthorizer, answer: AuthorizerAnswer): Refusal => {
  const named = authorizer.headersToDownstreamOnDeny;
  const headers = Object.entries(answer.headers)
    .map(([name, value]) => [name.toLowerCase(), valuesOf(value)] as const)
    .filter(([name]) => !neverSent.has(name) && !isControlHeader(name) && (named === undefined || isNamed(name, named)))
    .flatMap(([name, values]) => values.map((value) => [name, value] as const));
  return {
    ...refusalOf(ask, `the authorizer "${ask.authorizer}" answers ${answer.status}`),
    status: answer.status,
    answer: { headers, body: answer.body },
  };
};
