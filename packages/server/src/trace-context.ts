import {
  type Baggage,
  type BaggageEntry,
  type Context,
  createTraceState,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  trace,
} from "@opentelemetry/api";

const headerGetter = {
  keys: (headers: NodeJS.Dict<string | string[]>): string[] => Object.keys(headers),
  get: (headers: NodeJS.Dict<string | string[]>, name: string): string | string[] | undefined => headers[name],
};

/**
 * The context that a peer's headers carry: by the application's propagator where one is registered, else by W3C Trace
 * Context and Baggage, so that traces and baggage pass through members that run no SDK.
 */
export const extractContext = (headers: NodeJS.Dict<string | string[]>): Context => {
  if (propagation.fields().length > 0) return propagation.extract(ROOT_CONTEXT, headers, headerGetter);
  let context = ROOT_CONTEXT;
  const parent = parseTraceParent(headers.traceparent, headers.tracestate);
  if (parent !== undefined) context = trace.setSpanContext(context, parent);
  const baggage = parseBaggage(headers.baggage);
  return baggage === undefined ? context : propagation.setBaggage(context, baggage);
};

const traceParent = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads `traceparent` (W3C Trace Context, section 3.2). `undefined`: absent, repeated or malformed, and a new trace begins. */
export const parseTraceParent = (
  parent: string | string[] | undefined,
  state?: string | string[],
): SpanContext | undefined => {
  if (typeof parent !== "string") return undefined;
  const [, version, traceId = "", spanId = "", flags = "", rest] = traceParent.exec(parent) ?? [];
  // Version ff is invalid; version 00 has no fields after the flags, later ones may.
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  const found: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
  if (!isSpanContextValid(found)) return undefined;
  if (state === undefined) return found;
  return { ...found, traceState: createTraceState(Array.isArray(state) ? state.join(",") : state) };
};

/** The bounds of W3C Baggage, section 3.3.2. */
const LONGEST_BAGGAGE = 8_192;
const MOST_ENTRIES = 64;

/** Reads `baggage`; entries that cannot be read are left out, properties are not kept. */
export const parseBaggage = (header: string | string[] | undefined): Baggage | undefined => {
  if (header === undefined) return undefined;
  const text = Array.isArray(header) ? header.join(",") : header;
  if (text.length > LONGEST_BAGGAGE) return undefined;
  const entries: Record<string, BaggageEntry> = {};
  for (const member of text.split(",", MOST_ENTRIES)) {
    const [pair = ""] = member.split(";", 1);
    const equals = pair.indexOf("=");
    const key = pair.slice(0, equals).trim();
    const value = decoded(pair.slice(equals + 1).trim());
    if (equals > 0 && key !== "" && value !== undefined) entries[key] = { value };
  }
  return Object.keys(entries).length === 0 ? undefined : propagation.createBaggage(entries);
};

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};
