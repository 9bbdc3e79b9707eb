import { channel } from "node:diagnostics_channel";
import { propagation } from "@opentelemetry/api";
import type { Dispatcher } from "undici";
import { headerOf } from "../call.ts";
import type { Resolution } from "../routing/resolve-host.ts";
import { injectTrace, nextHop } from "../telemetry/trace-context.ts";
import { flattenHeaders } from "./call-headers.ts";
import type { FaceKit } from "./call-maker.ts";

type DispatchHeaders = Dispatcher.DispatchOptions["headers"];

/**
 * The trace of the visit in which a call outside the mesh is made, as a flat list of headers. Only for this machine: whoever
 * listens there is a part of the same system, while a stranger's host is told nothing that the caller did not write. Empty
 * where undici is instrumented, for that adds the trace, and a second one would make it invalid.
 */
const traceFor = (kit: Pick<FaceKit, "inherit" | "random">, to: Resolution): readonly string[] => {
  if (to.kind !== "outside" || to.ownMachine !== true || instrumented.hasSubscribers) return [];
  const added: string[] = [];
  const visit = kit.inherit()?.context;
  // An SDK has recorded the visit's span; without one each call gets an id of its own.
  injectTrace(propagation.fields().length > 0 ? visit : nextHop(visit, kit.random), added);
  return added;
};

/** Where undici, also the one built into Node.js, tells of its requests. */
const instrumented = channel("undici:request:create");

/** The options of a dispatch with the visit's trace; the same object where there is none, or the caller wrote its own. */
export const tracedDispatch = <Options extends { readonly headers?: DispatchHeaders }>(
  kit: Pick<FaceKit, "inherit" | "random">,
  to: Resolution,
  options: Options,
): Options => {
  const added = traceFor(kit, to);
  const { headers } = options;
  if (added.length === 0 || headerOf(flattenHeaders(headers).list, "traceparent") !== undefined) return options;
  return { ...options, headers: withHeaders(headers, added) };
};

const withHeaders = (headers: DispatchHeaders, added: readonly string[]): NonNullable<DispatchHeaders> => {
  if (headers === null || headers === undefined) return [...added];
  if (Array.isArray(headers)) return [...headers, ...added];
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < added.length; at += 2) pairs.push([added[at] ?? "", added[at + 1] ?? ""]);
  if (!(Symbol.iterator in headers)) return { ...headers, ...Object.fromEntries(pairs) };
  return [...headers, ...pairs];
};

/** As {@link tracedDispatch}, for the built-in fetch. @param own headers of a Request, which those of `init` replace. */
export const tracedInit = <Init extends { readonly headers?: unknown }>(
  kit: Pick<FaceKit, "inherit" | "random">,
  to: Resolution,
  init: Init | undefined,
  own: unknown,
): Init | { readonly headers: Headers } | undefined => {
  const added = traceFor(kit, to);
  if (added.length === 0) return init;
  // Whatever the built-in fetch takes as headers; another copy's Headers are iterable too.
  const headers = new Headers((init?.headers ?? own) as ConstructorParameters<typeof Headers>[0]);
  if (headers.has("traceparent")) return init;
  for (let at = 0; at + 1 < added.length; at += 2) headers.set(added[at] ?? "", added[at + 1] ?? "");
  return { ...init, headers };
};
