import {
  type Attributes,
  isSpanContextValid,
  type Link,
  type Meter,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { MeshErrorCode } from "@tulle/policy";
import { DURATION_BOUNDS_SECONDS, methodAttribute } from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
import type { ServerCounters } from "./counters.ts";
import { followMeter } from "./follow-meter.ts";
import type { Refusal } from "./gate.ts";
import { extractContext, newTrace, parseTraceParent } from "./trace-context.ts";
import type { OpenVisit } from "./visit.ts";

/** One server span and one duration per visit, refused visits too, and one count per refusal. */
export class VisitObserver {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #counters: ServerCounters;
  readonly #tracer: Tracer = trace.getTracer("@tulle/server");
  /** In `observe` and `client` the mesh is not there yet: trace parents count whoever sends them, as without it. */
  readonly #trustsAll: boolean;
  /** A service that the mesh is turned off for is none of its business. */
  readonly #silent: boolean;
  readonly #instruments = followMeter(visitInstruments);

  constructor(options: {
    readonly clock: Clock;
    readonly random: Random;
    readonly counters: ServerCounters;
    readonly trustsAll: boolean;
    readonly silent: boolean;
  }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#counters = options.counters;
    this.#trustsAll = options.trustsAll;
    this.#silent = options.silent;
  }

  /**
   * After the gates and before the handler. The caller's trace goes on, also that of a stranger on the mesh's port, for an id
   * gives no right; on a public listener nobody may write into our traces, and the visit begins a new one that links to
   * the caller's. Every visit has a trace, also where the application records none, so that its calls can be told together.
   */
  begin(visit: OpenVisit): void {
    this.#counters.visits++;
    if (this.#silent) return;
    const continues = visit.trusted || this.#trustsAll || visit.listener !== "public";
    const parent = continues ? extractContext(visit.request.headers) : ROOT_CONTEXT;
    const links = continues ? undefined : linkTo(visit.offeredTrace);
    const span = this.#tracer.startSpan(
      methodAttribute(visit.method),
      {
        kind: SpanKind.SERVER,
        attributes: {
          "http.request.method": methodAttribute(visit.method),
          "url.scheme": schemeOf(visit),
          "url.path": visit.path,
        },
        ...(links === undefined ? {} : { links }),
      },
      parent,
    );
    visit.span = span;
    visit.context = isSpanContextValid(span.spanContext())
      ? trace.setSpan(parent, span)
      : trace.setSpanContext(parent, newTrace(this.#random));
  }

  /** A gate said no; `enforced` tells whether the caller was refused. */
  refused(refusal: Refusal, visit: OpenVisit, enforced: boolean): void {
    const { code, detail } = refusal;
    this.#count(
      { "tulle.error.code": code, "tulle.enforced": enforced, "tulle.source": sourceOf(visit) },
      code,
      enforced,
    );
    visit.span?.setAttributes({ "tulle.error.code": code, "tulle.refusal.detail": detail });
  }

  /** A caller without an identity is served. */
  plaintext(transport: "plaintext" | "tls"): void {
    this.#instruments().plaintext.add(1, { "tulle.transport": transport });
  }

  /** A connection was refused before it could send a request, or would have been if the gates enforced. */
  connectionRefused(code: MeshErrorCode, enforced = true): void {
    this.#count({ "tulle.error.code": code, "tulle.enforced": enforced }, code, enforced);
  }

  /**
   * The answer is over.
   *
   * @param status what was answered, or `undefined` when the caller went away before.
   */
  end(visit: OpenVisit, status: number | undefined, refusal: Refusal | undefined): void {
    if (this.#silent) return;
    const attributes: Attributes = {
      "http.request.method": methodAttribute(visit.method),
      "url.scheme": schemeOf(visit),
      // The conventions write 2, and 1.1.
      "network.protocol.version": visit.request.httpVersion.replace(/\.0$/, ""),
      "tulle.source": sourceOf(visit),
      "tulle.mtls": visit.peer?.transport === "mtls",
    };
    if (visit.route !== undefined) attributes["http.route"] = visit.route;
    if (status !== undefined) attributes["http.response.status_code"] = status;
    if (refusal !== undefined) {
      attributes["tulle.error.code"] = refusal.code;
      attributes["error.type"] = refusal.code;
    } else if (status === undefined) attributes["error.type"] = "caller_gone";
    else if (status >= 500) attributes["error.type"] = String(status);
    this.#instruments().duration.record((this.#clock.now() - visit.startedAtMs) / 1_000, attributes, visit.context);
    const { span } = visit;
    if (span === undefined) return;
    if (span.isRecording()) {
      span.setAttributes(attributes);
      if (visit.route !== undefined) span.updateName(`${methodAttribute(visit.method)} ${visit.route}`);
      // By the conventions a 4xx is the caller's error and leaves a server's span unset.
      if (status === undefined || status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
  }

  #count(attributes: Attributes, code: MeshErrorCode, enforced: boolean): void {
    if (enforced) this.#counters.refused(code);
    else this.#counters.observedRefusals++;
    this.#instruments().refusals.add(1, attributes);
  }
}

const visitInstruments = (meter: Meter) => ({
  duration: meter.createHistogram("http.server.request.duration", {
    description: "Duration of HTTP server requests.",
    unit: "s",
    advice: { explicitBucketBoundaries: [...DURATION_BOUNDS_SECONDS] },
  }),
  plaintext: meter.createCounter("tulle.server.plaintext.requests", {
    description: "Requests of callers without an identity, which strict mTLS would refuse.",
    unit: "{request}",
  }),
  refusals: meter.createCounter("tulle.server.refusals", {
    description: "Requests and connections that the mesh refused, by code.",
    unit: "{refusal}",
  }),
});

const schemeOf = (visit: OpenVisit): string => (visit.connection.peer.transport === "plaintext" ? "http" : "https");

/** Istio's word for a caller without identity. */
const UNKNOWN_SOURCE = "unknown";

const sourceOf = (visit: OpenVisit): string => visit.peer?.serviceAccount ?? UNKNOWN_SOURCE;

const linkTo = (offered: string | string[] | undefined): Link[] | undefined => {
  const context = parseTraceParent(offered);
  return context === undefined ? undefined : [{ context }];
};
