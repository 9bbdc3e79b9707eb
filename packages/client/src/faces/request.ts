import { AsyncResource } from "node:async_hooks";
import type { IncomingHttpHeaders } from "node:http";
import type { UrlObject } from "node:url";
import { isMeshError, MeshError } from "@tulle/policy";
import type { Dispatcher } from "undici";
import { belongsTo, type MeshCall } from "../call.ts";
import { CallCancellation } from "../cancellation.ts";
import type { Reply } from "../reply.ts";
import { discardBody, prepareBody } from "../retry/replay-body.ts";
import type { Resolution } from "../routing/resolve-host.ts";
import type { CallOptions, Informed } from "../send.ts";
import { undici } from "../transport/undici.ts";
import { flattenHeaders } from "./call-headers.ts";
import { closedFailure, type FaceKit, makeCall, refusalOf } from "./call-maker.ts";
import { noTunnels, withQuery } from "./dispatcher.ts";
import { failureReply, wantsReply } from "./failure-reply.ts";
import { followSignal } from "./follow-signal.ts";
import { tracedDispatch } from "./own-machine-trace.ts";
import { type BodyOwner, RequestBody } from "./request-body.ts";
import { splitUrl, type UrlParts } from "./split-url.ts";

/**
 * Options of {@link MeshRequest}: undici's, and those of the mesh for this call. The mesh has time limits of its own, so
 * `headersTimeout` and `bodyTimeout` count outside it alone.
 */
export type MeshRequestOptions<Opaque = null> = Partial<Omit<Dispatcher.RequestOptions<Opaque>, "origin" | "path">> & {
  readonly mesh?: CallOptions;
};

/**
 * undici's `request` through the mesh: headers and a body to be read, at a fraction of the cost of any `fetch`.
 *
 * @throws MeshError for failures of the mesh; the abort reason when `signal` aborts; undici's errors for invalid options.
 */
export type MeshRequest = <Opaque = null>(
  url: string | URL | UrlObject,
  options?: MeshRequestOptions<Opaque> | null,
) => Promise<Dispatcher.ResponseData<Opaque>>;

/**
 * Makes {@link MeshRequest}. It goes to `Send` directly: undici's own `request` over the mesh's dispatcher pays for a handler
 * and for a stream that hardly anybody reads as one.
 *
 * @param outside where hosts outside the mesh go.
 * @param dispatcher the mesh's own, for URLs in parts: rare, and undici puts them together.
 */
export const createRequest =
  (kit: FaceKit, outside: () => Dispatcher, dispatcher: Dispatcher): MeshRequest =>
  <Opaque>(url: Parameters<MeshRequest>[0], given?: MeshRequestOptions<Opaque> | null) => {
    const options: MeshRequestOptions<Opaque> = given ?? {};
    try {
      if (isInParts(url) || url === "") return inParts(url, given, dispatcher);
      if ("path" in options) return undici.request(url, { ...options, dispatcher });
      const parts = splitUrl(url);
      const method = options.method ?? (options.body === undefined || options.body === null ? "GET" : "PUT");
      const to = kit.hosts.resolve(parts.origin);
      if (to.kind !== "outside" || kit.closed) return begin(kit, to, { parts, method, options });
      kit.counters.outside++;
      return undici.request(url, { ...tracedDispatch(kit, to, options), method, dispatcher: outside() });
    } catch (error) {
      return Promise.reject(error);
    }
  };

const isInParts = (url: unknown): url is UrlObject => typeof url !== "string" && !(url instanceof URL);

/** undici puts the parts together; without further options it looks for them beside the parts. */
const inParts = <Opaque>(
  url: UrlObject | "",
  options: MeshRequestOptions<Opaque> | null | undefined,
  dispatcher: Dispatcher,
): Promise<Dispatcher.ResponseData<Opaque>> =>
  options === null || options === undefined
    ? undici.request<Opaque>(typeof url === "object" && url !== null ? ({ ...url, dispatcher } as UrlObject) : url)
    : undici.request<Opaque>(url, { ...options, dispatcher });

/** What a caller asked for. */
interface Asked<Opaque> {
  readonly parts: UrlParts;
  readonly method: string;
  readonly options: MeshRequestOptions<Opaque>;
}

const begin = async <Opaque>(
  kit: FaceKit,
  to: Resolution,
  asked: Asked<Opaque>,
): Promise<Dispatcher.ResponseData<Opaque>> => {
  const { options } = asked;
  let call: MeshCall | undefined;
  let release: (() => void) | undefined;
  try {
    call = callOf(kit, to, asked);
    if (options.signal) release = followSignal(options.signal, call);
    if (call.cancel.cancelled) throw call.cancel.reason;
    const reply = await kit.send(call);
    if (release !== undefined) reply.onDone(release);
    return dataOf(reply, call, options);
  } catch (caught) {
    release?.();
    const error = call?.cancel.cancelled === true ? call.cancel.reason : caught;
    discardBody(call?.body ?? prepareBody(options.body).body, asError(error));
    if (!isMeshError(error)) throw error;
    if (call !== undefined) {
      belongsTo(error, call);
      call.failure = error;
    }
    if (!wantsReply(options.mesh ?? {}, kit.localReplies)) throw error;
    return dataOf(
      failureReply(error, call ?? asked),
      call ?? { method: asked.method, cancel: new CallCancellation() },
      options,
    );
  }
};

/** @throws MeshError for calls that cannot begin, undici's InvalidArgumentError for options that make no sense. */
const callOf = <Opaque>(kit: FaceKit, to: Resolution, { parts, method, options }: Asked<Opaque>): MeshCall => {
  checkOptions(options);
  if (kit.closed || to.kind === "outside") throw closedFailure(placeOf(parts, method));
  if (to.kind === "refused") {
    kit.counters.refused++;
    throw refusalOf(placeOf(parts, method), to);
  }
  if (method === "CONNECT") throw noTunnels(placeOf(parts, method));
  if (options.upgrade) throw noUpgrades(placeOf(parts, method));
  const call = makeCall(kit, to, {
    method,
    path: withQuery(parts.path, options.query),
    headers: flattenHeaders(options.headers),
    body: options.body ?? null,
    options: options.mesh,
  });
  if (options.onInfo) call.informed = informedBy(options.onInfo, options.responseHeaders);
  return call;
};

/** Tells the caller's `onInfo` of informational replies as undici does, in the caller's async context. */
const informedBy = (
  onInfo: NonNullable<Dispatcher.RequestOptions["onInfo"]>,
  responseHeaders: Dispatcher.RequestOptions["responseHeaders"],
): Informed => {
  const context = new AsyncResource("tulle.call");
  return {
    onInformation: (statusCode, headers, rawHeaders) => {
      const told = responseHeaders === "raw" ? flatStrings(rawHeaders) : headers;
      // undici's type knows no flat list, which its option asks for, and says `null` where it gives nothing.
      context.runInAsyncScope(onInfo, null, { statusCode, headers: told as Record<string, string | string[]> });
    },
  };
};

/** A reply with a body cannot be a connection. */
const noUpgrades = (place: string): MeshError =>
  new MeshError("INVALID_CALL", {
    message: "request() answers with a body, so it cannot upgrade its connection",
    path: [place],
    hint: "use undici's upgrade() or WebSocket with mesh.dispatcher, or node:http with mesh.agent",
  });

/** Where a call was to go, as its failure tells it. */
const placeOf = ({ origin, path }: UrlParts, method: string): string => `${method} ${origin}${path}`;

const dataOf = <Opaque>(
  reply: Reply,
  call: MeshCall | BodyOwner,
  { opaque, responseHeaders, highWaterMark, signal }: MeshRequestOptions<Opaque>,
): Dispatcher.ResponseData<Opaque> => {
  const trailers = {};
  return {
    statusCode: reply.status,
    statusText: reply.statusText,
    // undici's type knows no flat list, which its option asks for, and no array of most headers, which its parser makes.
    headers: (responseHeaders === "raw" ? flatStrings(reply.rawHeaders) : reply.headers) as IncomingHttpHeaders,
    trailers,
    // undici says `null` where the caller gave none; the type has it only as the parameter's default.
    opaque: (opaque ?? null) as Opaque,
    body: new RequestBody({ owner: call, reply, trailers, signal: signal ?? undefined, highWaterMark }),
    context: call,
  };
};

/** The list that undici makes of raw headers: names and values as strings. */
const flatStrings = (raw: Reply["rawHeaders"]): string[] =>
  raw.map((each) => (typeof each === "string" ? each : each.toString("latin1")));

/** What undici checks itself where it makes the exchange. */
const checkOptions = <Opaque>({ signal, onInfo, highWaterMark }: MeshRequestOptions<Opaque>): void => {
  if (signal && !("addEventListener" in signal) && !("once" in signal)) {
    throw new undici.errors.InvalidArgumentError("signal must be an EventEmitter or EventTarget");
  }
  if (onInfo && typeof onInfo !== "function") throw new undici.errors.InvalidArgumentError("invalid onInfo callback");
  if (highWaterMark !== undefined && !(Number.isFinite(highWaterMark) && highWaterMark >= 0)) {
    throw new undici.errors.InvalidArgumentError("invalid highWaterMark");
  }
};

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));
