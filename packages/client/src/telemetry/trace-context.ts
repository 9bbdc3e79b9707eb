import {
  type Context,
  context,
  createContextKey,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type TextMapGetter,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";
import type { Random } from "@tulle/time";
import { headerOf } from "../call.ts";

/**
 * Writes the trace of a context into a flat list of headers. With a registered propagator it is that one's work; without an
 * SDK the W3C headers are written here, so that a trace passes through a member that records nothing itself.
 */
export const injectTrace = (from: Context | undefined, headers: string[]): void => {
  if (from === undefined || from === ROOT_CONTEXT) return;
  if (propagation.fields().length > 0) {
    propagation.inject(from, headers, flatSetter);
    return;
  }
  const span = trace.getSpanContext(from);
  if (span !== undefined && isSpanContextValid(span)) {
    const flags = (span.traceFlags & 0xff).toString(16).padStart(2, "0");
    headers.push("traceparent", `00-${span.traceId}-${span.spanId}-${flags}`);
    const state = span.traceState?.serialize();
    if (state !== undefined && state !== "") headers.push("tracestate", state);
  }
  const baggage = propagation.getBaggage(from)?.getAllEntries();
  if (baggage === undefined || baggage.length === 0) return;
  const written = baggage.map(([key, { value, metadata }]) => {
    const properties = metadata?.toString() ?? "";
    return `${key}=${encodeURIComponent(value)}${properties === "" ? "" : `;${properties}`}`;
  });
  headers.push("baggage", written.join(","));
};

/**
 * The context of one attempt where no SDK makes spans: the same trace with an id of its own, so that the endpoints tell one
 * call's attempts from another's.
 */
export const nextHop = (from: Context | undefined, random: Random): Context | undefined => {
  if (from === undefined || from === ROOT_CONTEXT) return from;
  const span = trace.getSpanContext(from);
  if (span === undefined || !isSpanContextValid(span)) return from;
  return trace.setSpanContext(from, { ...span, spanId: newSpanId(random), isRemote: false });
};

const newSpanId = (random: Random): string => {
  const word = (): string =>
    Math.floor(random() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, "0");
  const id = word() + word();
  return id === NO_SPAN ? newSpanId(random) : id;
};

const NO_SPAN = "0".repeat(16);

/**
 * The list without the headers that another list brings anew: a caller that hands trace headers on by itself would otherwise
 * give each of them a second value, which makes the trace invalid.
 */
export const withoutThose = (headers: readonly string[], anew: readonly string[]): readonly string[] => {
  if (anew.length === 0) return headers;
  const names = new Set<string>();
  for (let at = 0; at < anew.length; at += 2) names.add((anew[at] ?? "").toLowerCase());
  // The state of one trace says nothing of another.
  if (names.has("traceparent")) names.add("tracestate");
  const kept = (at: number): boolean => !names.has((headers[at - (at % 2)] ?? "").toLowerCase());
  return headers.every((_, at) => kept(at)) ? headers : headers.filter((_, at) => kept(at));
};

/** A trace that the caller handed on in the call's headers, where no context carries one. */
export const traceOfHeaders = (from: Context, headers: readonly string[]): Context =>
  trace.getSpanContext(from) === undefined ? propagation.extract(from, headers, flatGetter) : from;

/**
 * The context that a call belongs to: the active one if it carries a trace, else that of the visit in which the call is
 * made, which is there even when no SDK keeps an active context.
 */
export const parentContext = (inherited: Context | undefined): Context => {
  const active = context.active();
  if (inherited === undefined) return active;
  return active === ROOT_CONTEXT || trace.getSpanContext(active) === undefined ? inherited : active;
};

/** The key by which instrumentations know that a request is not theirs to trace. */
const SUPPRESS_TRACING = createContextKey("OpenTelemetry SDK Context Key SUPPRESS_TRACING");

/** A context in which an instrumented undici makes no span and adds no second `traceparent`. */
export const suppressed = (from: Context): Context => from.setValue(SUPPRESS_TRACING, true);

const flatGetter: TextMapGetter<readonly string[]> = {
  keys: (headers) => headers.filter((_, at) => at % 2 === 0),
  get: (headers, name) => headerOf(headers, name.toLowerCase()),
};

const flatSetter: TextMapSetter<string[]> = {
  set: (headers, name, value) => {
    headers.push(name, value);
  },
};
