import { type Clock, MAX_TIMER_MS, parseGrpcTimeoutMs } from "@tulle/time";
import type { Gate, Refusal } from "../gate.ts";

/** Milliseconds that a mesh peer will wait, as Envoy writes it. */
const TIMEOUT_HEADER = "x-envoy-expected-rq-timeout-ms";

/** The same as gRPC writes it: at most eight digits and a unit. */
const GRPC_TIMEOUT_HEADER = "grpc-timeout";

const spent: Refusal = { code: "VISIT_DEADLINE_SPENT", detail: "the caller's time was spent before the handler began" };

/** Takes over the deadline of a verified peer; too late already means refused before the handler works. */
export const enforceDeadline =
  (clock: Clock): Gate =>
  (visit) => {
    if (!visit.trusted) return undefined;
    const headers = visit.request.headers;
    const envoy = headers[TIMEOUT_HEADER];
    const grpc = headers[GRPC_TIMEOUT_HEADER];
    if (envoy === undefined && grpc === undefined) return undefined;
    const envoyMs = envoy === undefined ? MAX_TIMER_MS : parseTimeoutMs(String(envoy));
    if (envoyMs === undefined) return malformed(TIMEOUT_HEADER, envoy);
    const grpcMs = grpc === undefined ? MAX_TIMER_MS : parseGrpcTimeoutMs(String(grpc));
    if (grpcMs === undefined) return malformed(GRPC_TIMEOUT_HEADER, grpc);
    visit.deadlineMs = visit.startedAtMs + Math.min(envoyMs, grpcMs);
    return clock.now() >= visit.deadlineMs ? spent : undefined;
  };

const malformed = (name: string, value: unknown): Refusal => ({
  code: "INVALID_REQUEST",
  detail: `the header ${name} is malformed: ${JSON.stringify(String(value).slice(0, 40))}`,
});

const wholeNumber = /^\d{1,15}$/;

/** Whole milliseconds; longer than a timer can wait is cut to that. `undefined`: no such number. */
export const parseTimeoutMs = (text: string): number | undefined =>
  wholeNumber.test(text) ? Math.min(Number(text), MAX_TIMER_MS) : undefined;
