import { type Duration, durationOr } from "./duration.ts";
import type { MeshPolicy } from "./mesh-policy.ts";
import type { ServicePolicy } from "./service-policy.ts";
import { DEFAULT_CONNECT_TIMEOUT_MS } from "./timeouts.ts";

/** Sockets to each endpoint. */
export interface ConnectionPool {
  /** Per endpoint. Range 1 to 65,535. @default 64 */
  readonly connections?: number;
  /** Calls that may wait for a free connection, per endpoint; more fail with OVERFLOW. Range 0 to 1,000,000. @default 1024 (Envoy) */
  readonly pendingRequests?: number;
  /** Including the TLS handshake. Range 1ms to 5m. @default the mesh's, "1s" */
  readonly connectTimeout?: Duration;
  /** Idle sockets are closed after this long; the server keeps them a second longer. Range 1ms to 1h. @default "4s" */
  readonly keepAlive?: Duration;
  /** Age at which a socket is retired, ± 10 %. Range 1s to 24h. @default "1h" */
  readonly maxAge?: Duration;
}

/** Connections to one endpoint: 64. With one call at a time on each, that bounds what one member can ask of an endpoint. */
export const DEFAULT_CONNECTIONS = 64;

/** Calls waiting for a connection: 1024 (Envoy's `max_pending_requests`). */
export const DEFAULT_PENDING_REQUESTS = 1_024;

/** How long an idle socket is kept: 4 s (undici), a second less than Node's server waits, so the client closes first. */
export const DEFAULT_KEEP_ALIVE_MS = 4_000;

/** Age at which a socket is retired: 1 h, so that load spreads to new endpoints and old certificates leave the wire. */
export const DEFAULT_MAX_AGE_MS = 3_600_000;

/** A connection pool with every field filled in. */
export interface EffectiveConnectionPool {
  readonly connections: number;
  readonly pendingRequests: number;
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly maxAgeMs: number;
}

/** The pool to each endpoint of a service; the mesh's part is the connect timeout. */
export const effectiveConnectionPool = (service: ServicePolicy, mesh: MeshPolicy): EffectiveConnectionPool => {
  const pool = service.connectionPool ?? {};
  return {
    connections: pool.connections ?? DEFAULT_CONNECTIONS,
    pendingRequests: pool.pendingRequests ?? DEFAULT_PENDING_REQUESTS,
    connectTimeoutMs: durationOr(pool.connectTimeout ?? mesh.defaults?.connectTimeout, DEFAULT_CONNECT_TIMEOUT_MS),
    keepAliveMs: durationOr(pool.keepAlive, DEFAULT_KEEP_ALIVE_MS),
    maxAgeMs: durationOr(pool.maxAge, DEFAULT_MAX_AGE_MS),
  };
};
