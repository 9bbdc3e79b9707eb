import { type Duration, durationOr } from "./duration.ts";
import { durationLimits, numberLimits } from "./field-limits.ts";
import type { MeshPolicy } from "./mesh-policy.ts";
import type { Check } from "./policy-check.ts";
import type { ServicePolicy } from "./service-policy.ts";
import { DEFAULT_CONNECT_TIMEOUT_MS } from "./timeouts.ts";

/** Connections to a service and how much may be asked of it at once: Envoy's circuit-breaker thresholds, per process. */
export interface ConnectionPool {
  /**
   * Connections to all endpoints of the service together. At the bound calls wait for one that is busy; an endpoint without
   * any connection always gets its first. Range 1 to 1,000,000. @default 1024 (Envoy)
   */
  readonly maxConnections?: number;
  /** Connections to one endpoint. Range 1 to 65,535. @default 64 */
  readonly maxConnectionsPerEndpoint?: number;
  /**
   * Calls to the destination (service or subset) that may wait for a connection; more fail with OVERFLOW_PENDING. With 0
   * none waits, and a call without a connection fails with OVERFLOW_CONNECTIONS. Range 0 to 1,000,000. @default 1024 (Envoy)
   */
  readonly maxPendingRequests?: number;
  /**
   * Calls to the destination (service or subset) that may be under way on connections until their replies are over; more
   * fail with OVERFLOW_REQUESTS. Range 1 to 1,000,000. @default 1024 (Envoy)
   */
  readonly maxRequests?: number;
  /**
   * Requests at once on one connection, where `protocol` is `http2` or `grpc`; the peer may allow fewer. When all connections are
   * full another is opened. Range 1 to 65,535. @default 100
   */
  readonly maxConcurrentStreams?: number;
  /** Including the TLS handshake. Range 1ms to 5m. @default the mesh's, "1s" */
  readonly connectTimeout?: Duration;
  /**
   * Idle sockets are closed after this long, or earlier where the server says so. Range 1ms to 1h. @default "4s"; "5m" where
   * `protocol` is `http2` or `grpc`
   */
  readonly keepAlive?: Duration;
  /** Age at which a socket is retired, ± 10 %. Range 1s to 24h. @default "1h" */
  readonly maxAge?: Duration;
  /**
   * Calls after which a connection is closed, once the reply of the last one is over; 0: no bound, and 1: a connection for
   * each call. Range 0 to 536,870,912. @default 0 (Istio)
   */
  readonly maxRequestsPerConnection?: number;
  /** Connections that are made before calls need them. @default none */
  readonly preconnectPolicy?: PreconnectPolicy;
}

/**
 * Connections that are made before calls need them (Envoy's preconnect policy), within the bounds of the pool. They count as
 * idle: those that nobody uses are closed after `keepAlive`.
 */
export interface PreconnectPolicy {
  /**
   * Connections to an endpoint per call that is under way to it or waits: with 1.5, two calls in flight have three connections.
   * In HTTP/1.1; a session of HTTP/2 carries many calls.
   * Each call opens at most three ahead, and none follow one that failed until a connect succeeds. Range 1 to 3.
   * @default 1 (Envoy): a connection is made when a call needs it
   */
  readonly perUpstreamPreconnectRatio?: number;
  /**
   * Whether an endpoint gets a connection when it appears or comes back, so that a first call soon after a deploy does not wait
   * for a handshake. At most {@link MAX_PRECONNECTED_ENDPOINTS} endpoints of a service at once; without effect where the service
   * has `subsetting`, because most endpoints would get no call. @default false
   */
  readonly newEndpoints?: boolean;
}

/** Connections to a service: 1024 (Envoy's `max_connections`). */
export const DEFAULT_MAX_CONNECTIONS = 1_024;

/** Connections to one endpoint: 64. With one call at a time on each, that bounds what one member can ask of an endpoint. */
export const DEFAULT_MAX_CONNECTIONS_PER_ENDPOINT = 64;

/** Calls waiting for a connection: 1024 (Envoy's `max_pending_requests`). */
export const DEFAULT_MAX_PENDING_REQUESTS = 1_024;

/** Calls under way: 1024 (Envoy's `max_requests`). */
export const DEFAULT_MAX_REQUESTS = 1_024;

/** How long an idle socket is kept: 4 s (undici), a second less than Node's server waits, so the client closes first. */
export const DEFAULT_KEEP_ALIVE_MS = 4_000;

/** How long an idle session of HTTP/2 is kept: 5 min. Unlike on HTTP/1.1 no request is lost when the server closes it first. */
export const DEFAULT_SESSION_KEEP_ALIVE_MS = 300_000;

/** Streams at once on one connection: 100, which RFC 9113 asks every server to allow at least. */
export const DEFAULT_MAX_CONCURRENT_STREAMS = 100;

/** Age at which a socket is retired: 1 h, so that load spreads to new endpoints and old certificates leave the wire. */
export const DEFAULT_MAX_AGE_MS = 3_600_000;

/** Calls on one connection: no bound (Istio). */
export const DEFAULT_MAX_REQUESTS_PER_CONNECTION = 0;

/** Connections per call in flight: 1 (Envoy), which makes none ahead. */
export const DEFAULT_PRECONNECT_RATIO = 1;

/** New endpoints of a service that `newEndpoints` connects to at once: 20. More than 2 to 5 are not often all called soon. */
export const MAX_PRECONNECTED_ENDPOINTS = 20;

/** A connection pool with every field filled in. */
export interface EffectiveConnectionPool {
  readonly maxConnections: number;
  readonly maxConnectionsPerEndpoint: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxConcurrentStreams: number;
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly maxAgeMs: number;
  /** `Infinity` without a bound. */
  readonly maxRequestsPerConnection: number;
  readonly preconnectRatio: number;
  readonly connectNewEndpoints: boolean;
}

/** The connections of a service; the mesh's part is the connect timeout. */
export const effectiveConnectionPool = (service: ServicePolicy, mesh: MeshPolicy): EffectiveConnectionPool => {
  const pool = service.connectionPool ?? {};
  const multiplexes = service.protocol === "http2" || service.protocol === "grpc";
  return {
    maxConnections: pool.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    maxConnectionsPerEndpoint: pool.maxConnectionsPerEndpoint ?? DEFAULT_MAX_CONNECTIONS_PER_ENDPOINT,
    maxPendingRequests: pool.maxPendingRequests ?? DEFAULT_MAX_PENDING_REQUESTS,
    maxRequests: pool.maxRequests ?? DEFAULT_MAX_REQUESTS,
    maxConcurrentStreams: pool.maxConcurrentStreams ?? DEFAULT_MAX_CONCURRENT_STREAMS,
    connectTimeoutMs: durationOr(pool.connectTimeout ?? mesh.defaults?.connectTimeout, DEFAULT_CONNECT_TIMEOUT_MS),
    keepAliveMs: durationOr(pool.keepAlive, multiplexes ? DEFAULT_SESSION_KEEP_ALIVE_MS : DEFAULT_KEEP_ALIVE_MS),
    maxAgeMs: durationOr(pool.maxAge, DEFAULT_MAX_AGE_MS),
    maxRequestsPerConnection:
      (pool.maxRequestsPerConnection ?? DEFAULT_MAX_REQUESTS_PER_CONNECTION) || Number.POSITIVE_INFINITY,
    preconnectRatio: pool.preconnectPolicy?.perUpstreamPreconnectRatio ?? DEFAULT_PRECONNECT_RATIO,
    connectNewEndpoints: pool.preconnectPolicy?.newEndpoints === true && service.subsetting === undefined,
  };
};

const COUNTS = [
  "maxConnections",
  "maxConnectionsPerEndpoint",
  "maxPendingRequests",
  "maxRequests",
  "maxRequestsPerConnection",
  "maxConcurrentStreams",
] as const;

/** What is wrong with the connections of a service. */
export const checkConnectionPool = (pool: ConnectionPool | undefined, check: Check): void => {
  if (pool === undefined) return;
  for (const field of COUNTS) check.number(["connectionPool", field], pool[field], numberLimits[field]);
  for (const field of ["connectTimeout", "keepAlive", "maxAge"] as const) {
    check.duration(["connectionPool", field], pool[field], durationLimits[field]);
  }
  check.number(
    ["connectionPool", "preconnectPolicy", "perUpstreamPreconnectRatio"],
    pool.preconnectPolicy?.perUpstreamPreconnectRatio,
    numberLimits.preconnectRatio,
  );
};
