import { type Context, context, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Random } from "@tulle/time";
import type { Attempt, AttemptLayer, Call } from "../send.ts";
import { addressedTo, endedWith, sentTo, triedOn, urlOf } from "../telemetry/attributes.ts";
import type { ClientTelemetry } from "../telemetry/client-telemetry.ts";
import { injectTrace, nextHop, suppressed, withoutThose } from "../telemetry/trace-context.ts";

/** Envoy's header: which attempt this is, from 1. */
export const ATTEMPT_COUNT_HEADER = "x-envoy-attempt-count";

/**
 * One client span per attempt, whose id the endpoint sees as its parent. Tracing is suppressed below, so that an
 * instrumented undici neither doubles the span nor adds a second `traceparent`.
 */
export const observeAttempt =
  (telemetry: ClientTelemetry, random: Random): AttemptLayer =>
  (next) =>
  (call, attempt) => {
    const { tracer } = telemetry;
    if (tracer === undefined) {
      bringTrace(nextHop(call.context, random), call, attempt);
      return next(call, attempt);
    }
    const parent = call.context ?? context.active();
    const span = tracer.startSpan(
      call.method,
      {
        kind: SpanKind.CLIENT,
        attributes: { ...addressedTo(call), ...urlOf(call), ...sentTo(call), "tulle.attempt": attempt.number },
      },
      parent,
    );
    if (attempt.number > 1) span.setAttribute("http.request.resend_count", attempt.number - 1);
    const within = trace.setSpan(parent, span);
    bringTrace(within, call, attempt);
    return context.with(suppressed(within), next, undefined, call, attempt).then(
      (reply) => {
        reply.onDone((error) => endSpan(span, attempt, reply.status, error));
        return reply;
      },
      (error: unknown) => {
        endSpan(span, attempt, undefined, error);
        throw error;
      },
    );
  };

/** Writes the attempt's headers: the trace first, whose names the call's own headers must not bring again. */
const bringTrace = (from: Context | undefined, call: Call, attempt: Attempt): void => {
  injectTrace(from, attempt.headers);
  call.sentHeaders = withoutThose(call.sentHeaders, attempt.headers);
  attempt.headers.push(ATTEMPT_COUNT_HEADER, attempt.number === 1 ? "1" : String(attempt.number));
};

const endSpan = (span: Span, attempt: Attempt, status: number | undefined, error: unknown): void => {
  const outcome = endedWith(status, error);
  span.setAttributes({ ...triedOn(attempt), ...outcome });
  if (outcome["error.type"] !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
};
