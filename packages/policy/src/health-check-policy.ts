import { type Duration, durationOr } from "./duration.ts";
import {
  durationLimits,
  numberLimits,
  wrongAuthority,
  wrongChoice,
  wrongHeaderValue,
  wrongMethod,
} from "./field-limits.ts";
import { wrongChangedHeader } from "./header-changes-policy.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import { type StatusRange, statusesOf, wrongStatuses } from "./retry-policy.ts";
import type { ServicePolicy } from "./service-policy.ts";

/**
 * Endpoints are asked how they are, besides the calls (Envoy's active health checking). Exactly one of `http`, `tcp` and
 * `grpc` is set. Each check goes over a connection of its own, made as those of calls are, and counts against none of their limits.
 */
export interface HealthCheck {
  /** A request, and what its answer must be. */
  readonly http?: HttpHealthCheck;
  /** A connection, and what is said on it. */
  readonly tcp?: TcpHealthCheck;
  /** A question in gRPC's health checking protocol. */
  readonly grpc?: GrpcHealthCheck;
  /** From the end of a check to the next. Range 100ms to 1h. @default "3s" (Envoy Gateway) */
  readonly interval?: Duration;
  /** As `interval`, after a check that did not pass. Range 100ms to 1h. @default `interval` (Envoy) */
  readonly unhealthyInterval?: Duration;
  /** As `unhealthyInterval`, while an endpoint is still healthy because `unhealthyThreshold` is not reached. Range 100ms to 1h. @default `unhealthyInterval` (Envoy) */
  readonly unhealthyEdgeInterval?: Duration;
  /** As `interval`, while an endpoint is still unhealthy because `healthyThreshold` is not reached. Range 100ms to 1h. @default `interval` (Envoy) */
  readonly healthyEdgeInterval?: Duration;
  /** As `interval`, while nobody calls the service. Range 100ms to 24h. @default "60s", or `interval` if that is longer (Envoy) */
  readonly noTrafficInterval?: Duration;
  /** Up to so many percent are added to each interval by chance, so that clients do not ask together. Range 0 to 100. @default 10 */
  readonly intervalJitterPercent?: number;
  /** Up to so much more is added to each interval by chance. Range 0s to 1h. @default "0s" (Envoy) */
  readonly intervalJitter?: Duration;
  /**
   * An endpoint's first check comes after up to so long, by chance. It gets no call before while another one is left. Range 0s to 1h. @default "0s" (Envoy)
   */
  readonly initialJitter?: Duration;
  /** A check that takes longer has failed, connection included. Range 1ms to 1m. @default "1s" (Envoy Gateway) */
  readonly timeout?: Duration;
  /** Failed checks in a row after which an endpoint is unhealthy. Range 1 to 100. @default 3 (Envoy Gateway) */
  readonly unhealthyThreshold?: number;
  /** Passed checks in a row after which it is healthy again; after its first check ever one is enough. Range 1 to 100. @default 1 (Envoy Gateway) */
  readonly healthyThreshold?: number;
}

/** A request, and what its answer must be. An answer with the header `x-envoy-degraded` says that the endpoint is degraded. */
export interface HttpHealthCheck {
  /** With a query, if need be. */
  readonly path: string;
  /** Any but CONNECT; without a body. @default "GET" (Envoy) */
  readonly method?: string;
  /** What is sent as Host. @default the service's name */
  readonly host?: string;
  /** Values by name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses, or ranges as "200-299", that pass. Range 200 to 599. @default [200] (Envoy) */
  readonly expectedStatuses?: readonly (number | StatusRange)[];
  /** Statuses that fail the check but only count to `unhealthyThreshold`; any other is unhealthy at once. Range 200 to 599. @default [] (Envoy) */
  readonly retriableStatuses?: readonly (number | StatusRange)[];
  /** What the first 1,024 bytes of the answer's body must contain. At most 1,024 bytes of UTF-8. @default anything */
  readonly body?: string;
}

/** A connection, and what is said on it. Without `receive` an endpoint that accepts the connection is well. */
export interface TcpHealthCheck {
  readonly send?: HealthCheckBytes;
  /** What must come, one after the other, with anything between them, within the first 1,024 bytes. */
  readonly receive?: readonly HealthCheckBytes[];
}

/**
 * A question in gRPC's health checking protocol (`grpc.health.v1.Health/Check`), over HTTP/2, whatever the service's `protocol`.
 * `SERVING` passes; any other answer, also that the method or the service is not known, is unhealthy at once (Envoy).
 */
export interface GrpcHealthCheck {
  /** The service that is asked for, as the server names it. At most 1,024 bytes of UTF-8. @default "", which is the whole server */
  readonly service?: string;
  /** What is sent as `:authority`. @default the service's name */
  readonly authority?: string;
}

/** Bytes, as text in UTF-8 or in hexadecimal digits. Exactly one is set. At most 1,024 bytes. */
export interface HealthCheckBytes {
  readonly text?: string;
  readonly hex?: string;
}

/** From the end of a check to the next: 3 s (Envoy Gateway). */
export const DEFAULT_HEALTH_CHECK_INTERVAL_MS = 3_000;

/** While nobody calls the service: 60 s (Envoy). */
export const DEFAULT_NO_TRAFFIC_INTERVAL_MS = 60_000;

/** Percent that chance may add to each interval: 10, so that the clients of an endpoint do not ask together. */
export const DEFAULT_INTERVAL_JITTER_PERCENT = 10;

/** A check that takes longer has failed: 1 s (Envoy Gateway). */
export const DEFAULT_HEALTH_CHECK_TIMEOUT_MS = 1_000;

/** Failed checks in a row after which an endpoint is unhealthy: 3 (Envoy Gateway). */
export const DEFAULT_UNHEALTHY_THRESHOLD = 3;

/** Passed checks in a row after which it is healthy again: 1 (Envoy Gateway). */
export const DEFAULT_HEALTHY_THRESHOLD = 1;

/** How much of an answer is read, and the most that may be compared with it, bytes: 1,024. */
export const MAX_HEALTH_CHECK_BYTES = 1_024;

/** How endpoints are asked, with every field filled in. */
export interface EffectiveHealthCheck {
  readonly probe: EffectiveHttpCheck | EffectiveTcpCheck | EffectiveGrpcCheck;
  readonly intervalMs: number;
  readonly unhealthyIntervalMs: number;
  readonly unhealthyEdgeIntervalMs: number;
  readonly healthyEdgeIntervalMs: number;
  readonly noTrafficIntervalMs: number;
  readonly intervalJitterPercent: number;
  readonly intervalJitterMs: number;
  readonly initialJitterMs: number;
  readonly timeoutMs: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
}

/** A request, with every field filled in. */
export interface EffectiveHttpCheck {
  readonly kind: "http";
  readonly path: string;
  readonly method: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expectedStatuses: ReadonlySet<number>;
  readonly retriableStatuses: ReadonlySet<number>;
  readonly body: string | undefined;
}

/** What is said on a connection. */
export interface EffectiveTcpCheck {
  readonly kind: "tcp";
  readonly send: Buffer | undefined;
  readonly receive: readonly Buffer[];
}

/** A question in gRPC's health checking protocol, with every field filled in. */
export interface EffectiveGrpcCheck {
  readonly kind: "grpc";
  readonly service: string;
  readonly authority: string;
}

/** How a service's endpoints are asked; `undefined`: they are not. */
export const effectiveHealthCheck = ({ name, healthCheck }: ServicePolicy): EffectiveHealthCheck | undefined => {
  if (healthCheck === undefined || healthCheck === false) return undefined;
  const intervalMs = durationOr(healthCheck.interval, DEFAULT_HEALTH_CHECK_INTERVAL_MS);
  const unhealthyIntervalMs = durationOr(healthCheck.unhealthyInterval, intervalMs);
  return {
    probe: probeOf(healthCheck, name),
    intervalMs,
    unhealthyIntervalMs,
    unhealthyEdgeIntervalMs: durationOr(healthCheck.unhealthyEdgeInterval, unhealthyIntervalMs),
    healthyEdgeIntervalMs: durationOr(healthCheck.healthyEdgeInterval, intervalMs),
    noTrafficIntervalMs: durationOr(
      healthCheck.noTrafficInterval,
      Math.max(intervalMs, DEFAULT_NO_TRAFFIC_INTERVAL_MS),
    ),
    intervalJitterPercent: healthCheck.intervalJitterPercent ?? DEFAULT_INTERVAL_JITTER_PERCENT,
    intervalJitterMs: durationOr(healthCheck.intervalJitter, 0),
    initialJitterMs: durationOr(healthCheck.initialJitter, 0),
    timeoutMs: durationOr(healthCheck.timeout, DEFAULT_HEALTH_CHECK_TIMEOUT_MS),
    unhealthyThreshold: healthCheck.unhealthyThreshold ?? DEFAULT_UNHEALTHY_THRESHOLD,
    healthyThreshold: healthCheck.healthyThreshold ?? DEFAULT_HEALTHY_THRESHOLD,
  };
};

const httpCheck = (http: HttpHealthCheck, service: string): EffectiveHttpCheck => ({
  kind: "http",
  path: http.path,
  method: http.method ?? "GET",
  host: http.host ?? service,
  headers: http.headers ?? {},
  expectedStatuses: new Set((http.expectedStatuses ?? [200]).flatMap(statusesOf)),
  retriableStatuses: new Set((http.retriableStatuses ?? []).flatMap(statusesOf)),
  body: http.body,
});

const probeOf = ({ http, tcp, grpc }: HealthCheck, service: string): EffectiveHealthCheck["probe"] => {
  if (http !== undefined) return httpCheck(http, service);
  if (grpc === undefined) return tcpCheck(tcp);
  return { kind: "grpc", service: grpc.service ?? "", authority: grpc.authority ?? service };
};

const tcpCheck = ({ send, receive = [] }: TcpHealthCheck = {}): EffectiveTcpCheck => ({
  kind: "tcp",
  send: send === undefined ? undefined : bytesOf(send),
  receive: receive.map(bytesOf),
});

const bytesOf = ({ text = "", hex }: HealthCheckBytes): Buffer =>
  hex === undefined ? Buffer.from(text) : Buffer.from(hex, "hex");

/** What is wrong with the path of a check, if anything. Unlike that of a rule it is sent as it is, with its query. */
export const wrongCheckPath = (path: string): string | undefined =>
  /^\/[\x21-\x7e]*$/.test(path) && !path.includes("#")
    ? undefined
    : `"${path}" is not a path: begin it with "/", and encode spaces and what is not ASCII`;

/** What is wrong with the method of a check, if anything. */
export const wrongCheckMethod = (method: string): string | undefined =>
  method === "CONNECT" ? "a check cannot CONNECT" : wrongMethod(method);

/** What is wrong with a status or a range of statuses, if anything. */
export const wrongCheckStatuses = (written: number | string): string | undefined =>
  wrongStatuses(written, numberLimits.checkedStatus);

/** What is wrong with bytes in hexadecimal digits, if anything. */
export const wrongHex = (hex: string): string | undefined =>
  /^(?:[0-9a-fA-F]{2})+$/.test(hex) ? undefined : `"${hex}" is not made of pairs of hexadecimal digits`;

/** Whether the figures make sense. */
export const checkHealthCheck = (policy: HealthCheck | false | undefined, check: Check): void => {
  if (policy === undefined || policy === false) return;
  const at = "healthCheck";
  const wrong = wrongChoice(policy, ["http", "tcp", "grpc"]);
  if (wrong !== undefined) check.report([at], wrong);
  for (const field of ["interval", "unhealthyInterval", "unhealthyEdgeInterval", "healthyEdgeInterval"] as const) {
    check.duration([at, field], policy[field], durationLimits.healthCheckInterval);
  }
  for (const field of ["intervalJitter", "initialJitter"] as const) {
    check.duration([at, field], policy[field], durationLimits.healthCheckJitter);
  }
  check.duration([at, "noTrafficInterval"], policy.noTrafficInterval, durationLimits.noTrafficInterval);
  check.duration([at, "timeout"], policy.timeout, durationLimits.healthCheckTimeout);
  check.number([at, "intervalJitterPercent"], policy.intervalJitterPercent, numberLimits.percent);
  for (const field of ["unhealthyThreshold", "healthyThreshold"] as const) {
    check.number([at, field], policy[field], numberLimits.healthThreshold);
  }
  check.text([at, "grpc", "authority"], policy.grpc?.authority, wrongAuthority);
  const service = policy.grpc?.service ?? "";
  if (service !== "") checkLength([at, "grpc", "service"], Buffer.byteLength(service), check);
  checkHttpCheck([at, "http"], policy.http, check);
  checkBytes([at, "tcp", "send"], policy.tcp?.send, check);
  check.list([at, "tcp", "receive"], policy.tcp?.receive, (path, bytes) => checkBytes(path, bytes, check));
};

const checkHttpCheck = (path: PolicyPath, http: HttpHealthCheck | undefined, check: Check): void => {
  if (http === undefined) return;
  check.text([...path, "path"], http.path, wrongCheckPath);
  check.text([...path, "method"], http.method, wrongCheckMethod);
  check.text([...path, "host"], http.host, wrongAuthority);
  for (const [name, value] of Object.entries(http.headers ?? {})) {
    check.text([...path, "headers", name], name, wrongChangedHeader);
    check.text([...path, "headers", name], value, wrongHeaderValue);
  }
  for (const field of ["expectedStatuses", "retriableStatuses"] as const) {
    check.list([...path, field], http[field], (place, status) => {
      const message = wrongCheckStatuses(status);
      if (message !== undefined) check.report(place, message);
    });
  }
  if (http.body !== undefined) checkLength([...path, "body"], Buffer.byteLength(http.body), check);
};

const checkBytes = (path: PolicyPath, bytes: HealthCheckBytes | undefined, check: Check): void => {
  if (bytes === undefined) return;
  const wrong = wrongChoice(bytes, ["text", "hex"]);
  if (wrong !== undefined) check.report(path, wrong);
  check.text([...path, "hex"], bytes.hex, wrongHex);
  if (wrong === undefined) checkLength(path, bytesOf(bytes).length, check);
};

const checkLength = (path: PolicyPath, bytes: number, check: Check): void => {
  if (bytes === 0) check.report(path, "nothing is compared: leave it out");
  if (bytes > MAX_HEALTH_CHECK_BYTES) {
    check.report(path, `it has ${bytes} bytes, more than ${MAX_HEALTH_CHECK_BYTES}`);
  }
};
