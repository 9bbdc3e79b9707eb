import { describe, expect, it } from "vitest";
import { effectiveBalancer } from "./balancer-policy.ts";
import { effectiveLocality } from "./locality-policy.ts";
import { portsWithPolicy, servicePolicyFor } from "./service-overrides.ts";
import type { ServicePolicy } from "./service-policy.ts";

const service: ServicePolicy = {
  kind: "Service",
  name: "reviews",
  balancer: { algorithm: "random" },
  panicThreshold: 10,
  subsets: { v1: { version: "v1" }, v2: { version: "v2" }, v3: { version: "v3" } },
  subsetPolicies: {
    v1: { balancer: { algorithm: "round-robin" } },
    v2: { panicThreshold: 20, portPolicies: { "8080": { balancer: { algorithm: "least-request" } } } },
  },
  portPolicies: { "8080": { panicThreshold: 30 } },
};

describe("the policy of a subset on a port", () => {
  it.each([
    [undefined, undefined, "random", 10],
    ["v1", undefined, "round-robin", 10],
    ["v2", undefined, "random", 20],
    ["v3", undefined, "random", 10],
    [undefined, 8080, "random", 30],
    ["v1", 8080, "round-robin", 30],
    ["v2", 8080, "least-request", 20],
    ["v2", 80, "random", 20],
  ])("subset %s on port %s: %s, panic at %i %%", (subset, port, algorithm, panicThreshold) => {
    expect(servicePolicyFor(service, subset, port)).toMatchObject({ balancer: { algorithm }, panicThreshold });
  });

  it("is the service's own object where nothing is said otherwise", () => {
    expect(servicePolicyFor(service, "v3", 80)).toBe(service);
  });

  it("turns off what its service has: slow start, locality", () => {
    const policy: ServicePolicy = {
      ...service,
      slowStart: { window: "10s" },
      locality: { mode: "failover" },
      subsetPolicies: { v1: { slowStart: false, locality: false } },
    };
    expect(effectiveBalancer(servicePolicyFor(policy, "v3", 80))).toHaveProperty("slowStart");
    expect(effectiveBalancer(servicePolicyFor(policy, "v1", 80))).not.toHaveProperty("slowStart");
    expect(effectiveLocality(servicePolicyFor(policy, "v3", 80))).toBeDefined();
    expect(effectiveLocality(servicePolicyFor(policy, "v1", 80))).toBeUndefined();
  });

  it("names the ports of which something is said", () => {
    expect(portsWithPolicy(service, "v2")).toEqual([8080]);
    expect(portsWithPolicy({ ...service, portPolicies: {} }, "v1")).toEqual([]);
  });
});
