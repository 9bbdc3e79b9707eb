import { describe, expect, test } from "vitest";
import { checkConnectionPool, effectiveConnectionPool } from "./connection-pool-policy.ts";
import { Check } from "./policy-check.ts";
import { DEFAULT_MESH } from "./select.ts";
import type { ServicePolicy } from "./service-policy.ts";

const service = (changes: Partial<ServicePolicy>): ServicePolicy => ({ kind: "Service", name: "reviews", ...changes });

describe("what holds", () => {
  test("zero calls per connection mean no bound", () => {
    const of = (maxRequestsPerConnection: number) =>
      effectiveConnectionPool(service({ connectionPool: { maxRequestsPerConnection } }), DEFAULT_MESH);
    expect(of(0).maxRequestsPerConnection).toBe(Number.POSITIVE_INFINITY);
    expect(of(1).maxRequestsPerConnection).toBe(1);
  });

  test("new endpoints are connected where the policy asks, but not beside subsetting", () => {
    const connectionPool = { preconnectPolicy: { newEndpoints: true, perUpstreamPreconnectRatio: 2 } };
    const alone = effectiveConnectionPool(service({ connectionPool }), DEFAULT_MESH);
    const beside = effectiveConnectionPool(service({ connectionPool, subsetting: { size: 10 } }), DEFAULT_MESH);
    expect([alone.connectNewEndpoints, beside.connectNewEndpoints]).toEqual([true, false]);
    expect([alone.preconnectRatio, beside.preconnectRatio]).toEqual([2, 2]);
  });
});

test.each([
  [
    { preconnectPolicy: { perUpstreamPreconnectRatio: 3.1 } },
    "connectionPool.preconnectPolicy.perUpstreamPreconnectRatio",
  ],
  [
    { preconnectPolicy: { perUpstreamPreconnectRatio: 0.9 } },
    "connectionPool.preconnectPolicy.perUpstreamPreconnectRatio",
  ],
  [{ maxRequestsPerConnection: -1 }, "connectionPool.maxRequestsPerConnection"],
  [{ maxRequestsPerConnection: 1.5 }, "connectionPool.maxRequestsPerConnection"],
  [{ maxConnections: 0 }, "connectionPool.maxConnections"],
  [{ keepAlive: "2h" } as const, "connectionPool.keepAlive"],
])("%j is refused", (connectionPool, path) => {
  const check = new Check(service({ connectionPool }));
  checkConnectionPool(connectionPool, check);
  expect(check.problems.map((problem) => problem.path)).toEqual([path]);
});
