import { type Attributes, type Histogram, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { splitServiceKey } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import type { Call, Layer } from "../send.ts";
import { addressedTo, endedWith, flaggedWith, sentTo, urlOf } from "../telemetry/attributes.ts";
import type { ClientTelemetry } from "../telemetry/client-telemetry.ts";
import { parentContext, traceOfHeaders } from "../telemetry/trace-context.ts";

/** Who makes the calls, for metrics that a table of edges is built from. */
export interface CallSource {
  readonly service: string;
  readonly namespace: string;
}

/**
 * One span and one duration per call, however many attempts it took; both end with the reply's body. Without a listener it
 * only finds the context that the call belongs to.
 */
export const observeCall =
  (telemetry: ClientTelemetry, source: CallSource, clock: Clock): Layer =>
  (next) =>
  (call) => {
    const found = parentContext(call.inherited?.context);
    call.context = found;
    const { tracer, durations } = telemetry;
    if (tracer === undefined && durations === undefined) return next(call);
    const parent = traceOfHeaders(found, call.headers);

    const span = tracer?.startSpan(
      `${call.method} ${splitServiceKey(call.service).name}`,
      {
        kind: SpanKind.INTERNAL,
        attributes: {
          ...addressedTo(call),
          ...urlOf(call),
          "tulle.source": source.service,
        },
      },
      parent,
    );
    if (span !== undefined) call.context = trace.setSpan(parent, span);
    const ended = (status: number | undefined, error: unknown): void => {
      const outcome = { ...sentTo(call), ...endedWith(status, error), ...flaggedWith(call) };
      if (span !== undefined) endSpan(span, call, outcome, error);
      durations?.record((clock.now() - call.startedAtMs) / 1_000, edgeOf(call, source, outcome));
    };
    return next(call).then(
      (reply) => {
        reply.onDone((error) => ended(reply.status, error));
        return reply;
      },
      (error: unknown) => {
        ended(undefined, error);
        throw error;
      },
    );
  };

const endSpan = (span: Span, call: Call, outcome: Attributes, error: unknown): void => {
  span.setAttributes(outcome);
  if (call.rule !== undefined) span.setAttribute("tulle.rule", call.rule);
  if (call.answer !== undefined) span.setAttribute("tulle.answer", call.answer);
  if (call.attempts.length > 1) span.setAttribute("http.request.resend_count", call.attempts.length - 1);
  if (outcome["error.type"] !== undefined) {
    span.setStatus(
      error instanceof Error ? { code: SpanStatusCode.ERROR, message: error.message } : { code: SpanStatusCode.ERROR },
    );
  }
  span.end();
};

/** Enough to draw a table of edges from this metric alone. */
const edgeOf = (call: Call, source: CallSource, outcome: Attributes): Parameters<Histogram["record"]>[1] => {
  const chosen = call.attempts.at(-1)?.chosen;
  const attributes: Attributes = {
    ...addressedTo(call),
    ...outcome,
    "tulle.source": source.service,
    "tulle.destination": splitServiceKey(call.plan?.destination ?? call.service).name,
  };
  if (chosen !== undefined) {
    attributes["tulle.mtls"] = chosen.transport === "mtls";
    const version = chosen.labels.version;
    if (version !== undefined) attributes["tulle.version"] = version;
  }
  return attributes;
};
