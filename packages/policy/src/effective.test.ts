import { expect, test } from "vitest";
import { effectiveBalancer } from "./balancer-policy.ts";
import { effectiveCircuitBreaker } from "./circuit-breaker-policy.ts";
import { effectiveConnectionPool } from "./connection-pool-policy.ts";
import { effectiveHedge } from "./hedge-policy.ts";
import { type MeshPolicy, outboundModeOf, trustDomainOf } from "./mesh-policy.ts";
import { effectiveMtls } from "./mtls-mode.ts";
import { effectiveRetry, effectiveRetryBudget } from "./retry-policy.ts";
import { DEFAULT_MESH } from "./select.ts";
import { type ServicePolicy, serviceAccountsOf, servicePortOf } from "./service-policy.ts";
import { effectiveTimeouts } from "./timeouts.ts";

const service: ServicePolicy = { kind: "Service", name: "reviews" };
const mesh: MeshPolicy = {
  kind: "Mesh",
  name: "mesh",
  mtls: "permissive",
  defaults: {
    timeout: "3s",
    attemptTimeout: "1s",
    maxDuration: "1h",
    idleTimeout: "0s",
    connectTimeout: "2s",
    retry: { retries: 5, on: ["reset"], statuses: [500], backoff: { base: "10ms" } },
    retryBudget: { ratio: 0.5, minPerSecond: 0 },
  },
};

test("the defaults of a mesh of which nothing is said", () => {
  expect(effectiveTimeouts(undefined, DEFAULT_MESH)).toEqual({
    timeoutMs: 15_000,
    covers: "headers",
    isDefault: true,
    attemptTimeoutMs: Number.POSITIVE_INFINITY,
    maxDurationMs: Number.POSITIVE_INFINITY,
    idleTimeoutMs: 300_000,
  });
  expect(effectiveRetry(undefined, DEFAULT_MESH)).toEqual({
    retries: 2,
    on: new Set(["connect-failure", "refused-stream", "reset", "gateway-error", "attempt-timeout"]),
    statuses: new Set(),
    retriableHeaders: {},
    retriableRequestHeaders: {},
    nonIdempotent: false,
    stacked: false,
    backoffBaseMs: 25,
    backoffMaxMs: 250,
  });
  expect(effectiveRetryBudget(service, DEFAULT_MESH)).toEqual({ ratio: 0.2, minPerSecond: 10, ttlMs: 10_000 });
  expect(effectiveCircuitBreaker(service)).toEqual({
    scope: "destination",
    errorPercent: 50,
    minimumVolume: 20,
    windowMs: 10_000,
    consecutiveFailures: 0,
    failures: ["gateway-error", "connect-failure", "reset", "attempt-timeout", "timeout"],
    statuses: [],
    openForMs: 5_000,
    maxOpenForMs: 5_000,
    halfOpenProbes: 1,
  });
  expect(effectiveConnectionPool(service, DEFAULT_MESH)).toEqual({
    maxConnections: 1_024,
    maxConnectionsPerEndpoint: 64,
    maxPendingRequests: 1_024,
    maxRequests: 1_024,
    maxConcurrentStreams: 100,
    connectTimeoutMs: 1_000,
    keepAliveMs: 4_000,
    maxAgeMs: 3_600_000,
    maxRequestsPerConnection: Number.POSITIVE_INFINITY,
    preconnectRatio: 1,
    connectNewEndpoints: false,
  });
  expect(effectiveBalancer(service)).toEqual({ algorithm: "peak-ewma", decayMs: 10_000, defaultRttMs: 30 });
  expect(effectiveMtls({ mesh: DEFAULT_MESH, service, authentication: [] }).mode).toBe("strict");
  expect([trustDomainOf(DEFAULT_MESH), outboundModeOf(DEFAULT_MESH)]).toEqual(["cluster.local", "allow-any"]);
  expect([servicePortOf(service), serviceAccountsOf(service)]).toEqual([80, ["reviews"]]);
});

test("the mesh's values stand in for a rule's, which win field by field", () => {
  expect(effectiveTimeouts({}, mesh)).toEqual({
    timeoutMs: 3_000,
    covers: "headers",
    isDefault: false,
    attemptTimeoutMs: 1_000,
    maxDurationMs: 3_600_000,
    idleTimeoutMs: Number.POSITIVE_INFINITY,
  });
  expect(
    effectiveTimeouts({ timeout: "7s", attemptTimeout: "0s", idleTimeout: "1m", maxDuration: "0s" }, mesh),
  ).toEqual({
    timeoutMs: 7_000,
    covers: "whole",
    isDefault: false,
    attemptTimeoutMs: Number.POSITIVE_INFINITY,
    maxDurationMs: Number.POSITIVE_INFINITY,
    idleTimeoutMs: 60_000,
  });
  expect(effectiveTimeouts({ timeout: "0s" }, mesh).timeoutMs).toBe(Number.POSITIVE_INFINITY);
  expect(effectiveRetry({ retries: 1, backoff: { max: "100ms" } }, mesh)).toEqual({
    retries: 1,
    on: new Set(["reset"]),
    statuses: new Set([500]),
    retriableHeaders: {},
    retriableRequestHeaders: {},
    nonIdempotent: false,
    stacked: false,
    backoffBaseMs: 10,
    backoffMaxMs: 100,
  });
  expect(effectiveRetryBudget({ ...service, retryBudget: { ratio: 0.1, ttl: "5s" } }, mesh)).toEqual({
    ratio: 0.1,
    minPerSecond: 0,
    ttlMs: 5_000,
  });
  expect(effectiveConnectionPool(service, mesh).connectTimeoutMs).toBe(2_000);
  expect(effectiveConnectionPool({ ...service, connectionPool: { connectTimeout: "3s" } }, mesh).connectTimeoutMs).toBe(
    3_000,
  );
});

test("what is turned off is undefined", () => {
  expect(effectiveRetry(false, mesh)).toBeUndefined();
  expect(effectiveRetry({ retries: 0 }, mesh)).toBeUndefined();
  expect(effectiveCircuitBreaker({ ...service, circuitBreaker: false })).toBeUndefined();
});

test("a base above the default maximum lifts the maximum", () => {
  expect(effectiveRetry({ backoff: { base: "1s" } }, DEFAULT_MESH)?.backoffMaxMs).toBe(1_000);
});

test("balancers that read load reports have the defaults of gRPC and of Prequal", () => {
  expect(effectiveBalancer({ ...service, balancer: { algorithm: "round-robin" } })).toEqual({
    algorithm: "round-robin",
  });
  expect(effectiveBalancer({ ...service, balancer: { algorithm: "weighted-round-robin" } })).toEqual({
    algorithm: "weighted-round-robin",
    blackoutMs: 10_000,
    expirationMs: 180_000,
    updateMs: 1_000,
    errorPenalty: 1,
  });
  expect(effectiveBalancer({ ...service, balancer: { algorithm: "prequal" } })).toEqual({
    algorithm: "prequal",
    inFlightQuantile: 0.84,
  });
});

test("ranges of statuses are every status in them", () => {
  const { statuses } = effectiveRetry({ statuses: [429, "500-503"] }, DEFAULT_MESH)!;
  expect([...statuses]).toEqual([429, 500, 501, 502, 503]);
});

test("a hedge waits for a time or for a share of the answers, and is one unless said otherwise", () => {
  expect(effectiveHedge(undefined)).toBeUndefined();
  expect(effectiveHedge({ delay: "50ms" })).toEqual({ after: { delayMs: 50 }, attempts: 1, nonIdempotent: false });
  expect(effectiveHedge({ quantile: 0.95, attempts: 2, nonIdempotent: true })).toEqual({
    after: { quantile: 0.95 },
    attempts: 2,
    nonIdempotent: true,
  });
});
