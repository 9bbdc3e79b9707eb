import {
  type Baggage,
  type BaggageEntry,
  type Context,
  createTraceState,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  TraceFlags,
  type TraceState,
  trace,
} from "@opentelemetry/api";
import type { Random } from "@tulle/time";

const headerGetter = {
  keys: (headers: NodeJS.Dict<string | string[]>): string[] => Object.keys(headers),
  get: (headers: NodeJS.Dict<string | string[]>, name: string): string | string[] | undefined => headers[name],
};

/**
 * The context that a caller's headers carry: by the application's propagator where one is registered, else by W3C Trace
 * Context and Baggage, so that traces and baggage pass through members that run no SDK. A propagator is shown no
 * `traceparent` or `tracestate` that the standard wants ignored as a whole: the common one keeps what it can read of them.
 */
export const extractContext = (headers: NodeJS.Dict<string | string[]>): Context => {
  const parent = parseTraceParent(headers.traceparent, headers.tracestate);
  if (propagation.fields().length > 0) {
    return propagation.extract(ROOT_CONTEXT, asShown(headers, parent), headerGetter);
  }
  let context = ROOT_CONTEXT;
  if (parent !== undefined) context = trace.setSpanContext(context, parent);
  const baggage = parseBaggage(headers.baggage);
  return baggage === undefined ? context : propagation.setBaggage(context, baggage);
};

const asShown = (
  headers: NodeJS.Dict<string | string[]>,
  parent: SpanContext | undefined,
): NodeJS.Dict<string | string[]> => {
  if (headers.traceparent === undefined && headers.tracestate === undefined) return headers;
  return {
    ...headers,
    traceparent: parent === undefined ? undefined : headers.traceparent,
    tracestate: parent?.traceState?.serialize(),
  };
};

/** A trace that begins here, for visits whose caller brings none and whose application records none. */
export const newTrace = (random: Random): SpanContext => ({
  traceId: hexId(random, 4),
  spanId: hexId(random, 2),
  traceFlags: TraceFlags.NONE,
});

/** A random id of so many words of 32 bits; all zeros mean "none" to the standard. */
const hexId = (random: Random, words: number): string => {
  let id = "";
  for (let each = 0; each < words; each++)
    id += Math.floor(random() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, "0");
  return /^0+$/.test(id) ? hexId(random, words) : id;
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
  const traceState = parseTraceState(state);
  return traceState === undefined ? found : { ...found, traceState };
};

/** The bounds and the grammar of W3C Trace Context, section 3.3. */
const MOST_MEMBERS = 32;
const stateKey = /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/;
const stateValue = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** Reads `tracestate`. `undefined`: absent, empty, or malformed in any member, and all of it is discarded. */
export const parseTraceState = (header: string | string[] | undefined): TraceState | undefined => {
  if (header === undefined) return undefined;
  const keys = new Set<string>();
  const members: string[] = [];
  for (const member of (Array.isArray(header) ? header.join(",") : header).split(",")) {
    const text = trimmed(member);
    if (text === "") continue;
    const equals = text.indexOf("=");
    const key = text.slice(0, Math.max(0, equals));
    if (!stateKey.test(key) || !stateValue.test(text.slice(equals + 1)) || keys.has(key)) return undefined;
    keys.add(key);
    members.push(text);
    if (members.length > MOST_MEMBERS) return undefined;
  }
  return members.length === 0 ? undefined : createTraceState(members.join(","));
};

/** Without optional whitespace, which is blanks and tabs. */
const trimmed = (member: string): string => member.replace(/^[ \t]+|[ \t]+$/g, "");

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
