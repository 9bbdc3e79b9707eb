import { stringify } from "node:querystring";
import { isMeshError, MeshError } from "@tulle/policy";
import type { Dispatcher } from "undici";
import type { Resolution } from "../routing/resolve-host.ts";
import type { CallOptions } from "../send.ts";
import { undici } from "../transport/undici.ts";
import { flattenHeaders } from "./call-headers.ts";
import { closedFailure, type FaceKit, makeCall, refusalOf } from "./call-maker.ts";
import { failureReply, wantsReply } from "./failure-reply.ts";
import { HandlerExchange } from "./handler-exchange.ts";
import { tracedDispatch } from "./own-machine-trace.ts";

/** What a caller may add to the options of any undici call. */
export interface MeshDispatchOptions extends Dispatcher.DispatchOptions {
  readonly mesh?: CallOptions;
}

/**
 * The mesh as an undici dispatcher: every function of undici works with it. Hosts outside the mesh are handed to the
 * `outside` dispatcher, untouched. Speaks the handler dialect of undici 8; handlers of older versions are wrapped.
 */
export class MeshDispatcher extends undici.Dispatcher {
  readonly #kit: FaceKit;
  readonly #outside: () => Dispatcher;

  constructor(kit: FaceKit, outside: () => Dispatcher) {
    super();
    this.#kit = kit;
    this.#outside = outside;
  }

  override dispatch(options: MeshDispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const kit = this.#kit;
    const own = inPresentDialect(handler);
    const to = resolveOrigin(kit, options);
    if (to.kind === "outside" && !kit.closed) {
      kit.counters.outside++;
      // Whatever it throws reaches the caller as it would without the mesh.
      return this.#outside().dispatch(tracedDispatch(kit, to, options), own);
    }
    try {
      if (kit.closed || to.kind === "outside") throw closedFailure(placeOf(options));
      if (to.kind === "refused") {
        kit.counters.refused++;
        throw refusalOf(placeOf(options), to);
      }
      if (options.method === "CONNECT") throw noTunnels(placeOf(options));
      const call = makeCall(kit, to, {
        method: options.method,
        path: withQuery(options.path, options.query),
        headers: flattenHeaders(options.headers),
        body: options.body ?? null,
        options: options.mesh,
      });
      if (options.upgrade) call.upgrade = protocolOf(options.upgrade, placeOf(options));
      new HandlerExchange(own, call, wantsReply(call.options, kit.localReplies)).begin(kit.send);
      return true;
    } catch (error) {
      tellFailure(own, options.method, error, wantsReply(options.mesh ?? {}, kit.localReplies));
      return false;
    }
  }

  /** undici reads the bounds of WebSocket from the dispatcher: those of the one outside hold here too, as in its own wrappers. */
  get webSocketOptions(): unknown {
    return (this.#outside() as { readonly webSocketOptions?: unknown }).webSocketOptions;
  }

  /** The same for EventSource. */
  get eventSourceOptions(): unknown {
    return (this.#outside() as { readonly eventSourceOptions?: unknown }).eventSourceOptions;
  }

  /** The mesh is left by its own `leave()`; whoever closes the dispatcher closes nothing. */
  override close(callback?: () => void): Promise<void> {
    callback?.();
    return Promise.resolve();
  }

  override destroy(...args: unknown[]): Promise<void> {
    const callback = args.find((each): each is () => void => typeof each === "function");
    callback?.();
    return Promise.resolve();
  }
}

/** What is no origin at all is left to the dispatcher outside, whose errors the caller knows. */
const resolveOrigin = (kit: FaceKit, options: Dispatcher.DispatchOptions): Resolution => {
  try {
    return kit.hosts.resolve(originOf(options));
  } catch {
    return outside;
  }
};

const outside: Resolution = { kind: "outside" };

/** Scheme and authority of a dispatch. */
export const originOf = ({ origin }: Dispatcher.DispatchOptions): string =>
  typeof origin === "string" ? origin : (origin?.origin ?? "");

/** A path with the query that undici takes beside it. */
export const withQuery = (path: string, query: Dispatcher.DispatchOptions["query"]): string => {
  if (query === null || query === undefined) return path;
  // undici's own words: it would not know where one ends and the other begins.
  if (path.includes("?") || path.includes("#"))
    throw new MeshError("INVALID_CALL", {
      message: 'Query params cannot be passed when url already contains "?" or "#".',
      path: [path.slice(0, path.search(/[?#]/))],
    });
  const written = stringify(query);
  return written === "" ? path : `${path}?${written}`;
};

/** Handlers of undici 7 and older, such as the built-in fetch's on Node.js 22 and 24, have callbacks of other names. */
const inPresentDialect = (handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler =>
  isLegacy(handler) ? wrapper.wrapHandler(handler) : handler;

const isLegacy = (handler: unknown): boolean =>
  typeof handler === "object" && handler !== null && ("onConnect" in handler || "onHeaders" in handler);

/** The static method is public in undici 8 but not typed. */
const wrapper = undici.Dispatcher1Wrapper as unknown as {
  wrapHandler(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler;
};

/** Where a call was to go, as its failure tells it. */
const placeOf = (options: Dispatcher.DispatchOptions): string =>
  `${options.method} ${originOf(options)}${options.path}`;

/** The failure of CONNECT, which asks a proxy for a tunnel: there is no proxy here. @param place method and URL */
export const noTunnels = (place: string): MeshError =>
  new MeshError("INVALID_CALL", {
    message: "CONNECT asks a proxy for a tunnel, and a service of the mesh is none",
    path: [place],
    hint: "call the service by its name; for another protocol on its connection, ask for an upgrade",
  });

/** The protocol of an upgrade; undici's types know booleans from older times. */
const protocolOf = (upgrade: NonNullable<Dispatcher.DispatchOptions["upgrade"]>, place: string): string => {
  if (typeof upgrade === "string") return upgrade;
  throw new MeshError("INVALID_CALL", { message: "upgrade must name a protocol", path: [place] });
};

/** Tells a handler that its call never began. */
const tellFailure = (handler: Dispatcher.DispatchHandler, method: string, error: unknown, asReply: boolean): void => {
  const failure = error instanceof Error ? error : new Error(String(error));
  if (!asReply || !isMeshError(failure)) {
    if (handler.onResponseError === undefined) throw failure;
    // undici itself tells failures of this kind without a controller.
    handler.onResponseError(null as unknown as Dispatcher.DispatchController, failure);
    return;
  }
  const { status, statusText, headers, rawHeaders, body } = failureReply(failure, { method });
  const controller = { ...idleController, rawHeaders: [...rawHeaders] };
  handler.onRequestStart?.(controller, {});
  // Values of a parsed list are never undefined.
  handler.onResponseStart?.(controller, status, headers as Record<string, string | string[]>, statusText);
  if (body.length > 0) handler.onResponseData?.(controller, body);
  handler.onResponseEnd?.(controller, {});
};

/** Controls an exchange that is over as soon as it is told. */
const idleController: Dispatcher.DispatchController = {
  aborted: false,
  paused: false,
  reason: null,
  rawHeaders: null,
  rawTrailers: null,
  abort: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
};
