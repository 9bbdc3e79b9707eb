import type { ServicePolicy } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import {
  gatewayDocument,
  httpRoute,
  kubernetesService,
  refusalsOf,
  rulesOf,
  statusesOf,
} from "../../test/gateway-documents.ts";
import { policyNamed, translated } from "../../test/translated.ts";

const known = kubernetesService("reviews") + kubernetesService("v1") + kubernetesService("v2");
const apiVersion = "gateway.networking.x-k8s.io/v1alpha1";
const policy = (fields: string, name = "traffic", service = "v1"): string =>
  gatewayDocument(
    "XBackendTrafficPolicy",
    name,
    `{ targetRefs: [{ group: "", kind: Service, name: ${service} }], ${fields} }`,
    { apiVersion },
  );
const budgetOf = (fields: string) => {
  const service = policyNamed(translated(known + policy(fields)).policies, "Service", "v1");
  // Only Services are asked for.
  return (service as ServicePolicy | undefined)?.retryBudget;
};

describe("a retry constraint", () => {
  test.each([
    ["{}", { ratio: 0.2, minPerSecond: 10, ttl: "10s" }],
    ["{ budget: { percent: 50, interval: 30s } }", { ratio: 0.5, minPerSecond: 10, ttl: "30s" }],
    ["{ budgetPercent: 5, budgetInterval: 5s }", { ratio: 0.05, minPerSecond: 10, ttl: "5s" }],
    ["{ minRetryRate: { count: 3, interval: 2s } }", { ratio: 0.2, minPerSecond: 1.5, ttl: "10s" }],
    ["{ minRetryRate: { count: 1000000, interval: 1s } }", { ratio: 0.2, minPerSecond: 10_000, ttl: "10s" }],
    ["{ budget: { interval: 1h } }", { ratio: 0.2, minPerSecond: 10, ttl: "60s" }],
  ])("%s is the retry budget %o", (constraint, expected) => {
    expect(budgetOf(`retryConstraint: ${constraint}`)).toEqual(expected);
  });

  test("beyond what a policy allows is told", () => {
    expect(translated(known + policy("retryConstraint: { budget: { interval: 1h } }")).findings).toEqual([
      expect.stringContaining("1h is not within 1s to 60s: 60s is taken"),
    ]);
  });

  test.each([
    ["{ budget: { percent: 101 } }", "no share in percent"],
    ["{ budget: { interval: 500ms } }", "is not 1s to 1h"],
    ["{ budget: { interval: 2h } }", "is not 1s to 1h"],
    ["{ minRetryRate: { count: 0 } }", "is not from 1 to 1000000"],
    ["{ minRetryRate: { interval: 0s } }", "is not 1ms to 1h"],
    ["{ budget: { percent: 10, ratio: 2 } }", 'has no field "ratio"'],
  ])("%s is refused", (constraint, reason) => {
    expect(refusalsOf(known + policy(`retryConstraint: ${constraint}`))).toEqual([expect.stringContaining(reason)]);
    expect(budgetOf(`retryConstraint: ${constraint}`)).toBeUndefined();
  });
});

describe("the session persistence of a service", () => {
  const sticky = policy("sessionPersistence: { sessionName: sid }");
  const affinity = { cookie: { name: "sid" }, endpoint: {} };
  const to = (...names: readonly string[]): string =>
    `[{ backendRefs: [${names.map((name) => `{ name: ${name}, port: 80 }`).join(", ")}] }]`;

  test("holds for rules that lead to it alone", () => {
    const ruleOf = (rules: string) => {
      const route = policyNamed(translated(known + httpRoute(rules) + sticky).policies, "Route", "route");
      return route?.kind === "Route" ? route.rules[0] : undefined;
    };
    expect(ruleOf(to("v1"))).toMatchObject({ split: [{ service: "v1" }], sessionAffinity: affinity });
    expect(ruleOf(to("v1", "v2"))).not.toHaveProperty("sessionAffinity");
  });

  test("gives way to the rule's own", () => {
    const own = httpRoute("[{ backendRefs: [{ name: v1, port: 80 }], sessionPersistence: { type: Header } }]");
    expect(rulesOf(known + own + policy("sessionPersistence: {}", "traffic", "reviews"))[0]).toMatchObject({
      sessionAffinity: { header: "tulle-session-id", endpoint: {} },
    });
  });

  test("is a route of its own where the service has none", () => {
    expect(policyNamed(translated(known + sticky).policies, "Route", "v1-sessions")).toEqual({
      kind: "Route",
      name: "v1-sessions",
      namespace: "shop",
      services: ["v1"],
      rules: [{ sessionAffinity: affinity }],
    });
  });

  test("is that of BackendLBPolicy as well", () => {
    const old = sticky
      .replace("XBackendTrafficPolicy", "BackendLBPolicy")
      .replace(apiVersion, "gateway.networking.k8s.io/v1alpha2");
    expect(policyNamed(translated(known + old).policies, "Route", "v1-sessions")).toBeDefined();
  });
});

test("of two policies for a service the first in age and name holds", () => {
  const both = known + policy("retryConstraint: {}", "b") + policy("retryConstraint: { budget: { percent: 1 } }", "a");
  expect(policyNamed(translated(both).policies, "Service", "v1")).toMatchObject({ retryBudget: { ratio: 0.01 } });
  expect(statusesOf(both).map((each) => each.replace(/,.*/, ""))).toEqual([
    "XBackendTrafficPolicy/shop/a under Service/shop/v1: Accepted=True Accepted",
    "XBackendTrafficPolicy/shop/b under Service/shop/v1: Accepted=False Conflicted",
  ]);
});
