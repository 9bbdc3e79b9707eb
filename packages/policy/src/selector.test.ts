import { describe, expect, test } from "vitest";
import { checkPolicies } from "./check-policies.ts";
import { checkPolicy } from "./check-policy.ts";
import type { Policy } from "./policy.ts";
import { inboundFor } from "./select.ts";
import { fitsLabels, type WorkloadSelector } from "./selector.ts";

const access = (name: string, namespace: string, selector?: WorkloadSelector): Policy => ({
  kind: "Access",
  name,
  namespace,
  ...(selector === undefined ? {} : { selector }),
});

describe("the policies that may concern a service", () => {
  const policies: readonly Policy[] = [
    { kind: "Service", name: "reviews", namespace: "shop" },
    { kind: "Service", name: "reviews", namespace: "istio-system" },
    access("own", "shop"),
    access("own-by-label", "shop", { labels: { version: "v9" } }),
    access("other-service", "shop", { service: "ratings" }),
    access("elsewhere", "bank"),
    access("root", "istio-system"),
    access("root-by-label", "istio-system", { labels: { app: "reviews" } }),
    access("root-by-service", "istio-system", { service: "reviews" }),
    access("root-other-service", "istio-system", { service: "ratings" }),
  ];
  const names = (all: readonly Policy[], key: "shop/reviews" | "istio-system/reviews") =>
    inboundFor(all, key)?.access.map(({ name }) => name);

  test("are those of its namespace and of the root namespace, whatever labels they ask for", () => {
    expect(names(policies, "shop/reviews")).toEqual([
      "root",
      "root-by-label",
      "root-by-service",
      "own",
      "own-by-label",
    ]);
  });

  test("of a service in the root namespace are each there once", () => {
    expect(names(policies, "istio-system/reviews")).toEqual(["root", "root-by-label", "root-by-service"]);
  });

  test("follow the root namespace that the mesh names", () => {
    const named: readonly Policy[] = [...policies, { kind: "Mesh", name: "mesh", rootNamespace: "bank" }];
    expect(names(named, "shop/reviews")).toEqual(["elsewhere", "own", "own-by-label"]);
  });
});

describe("a selector by labels", () => {
  const policy = access("a", "shop", { labels: { app: "reviews", version: "v1" } });

  test("fits a workload that carries all of them", () => {
    expect(fitsLabels(policy, { app: "reviews", version: "v1", extra: "x" })).toBe(true);
  });

  test.each([[{}], [{ app: "reviews" }], [{ app: "reviews", version: "v2" }], [{ app: "Reviews", version: "v1" }]])(
    "does not fit %j",
    (labels) => expect(fitsLabels(policy, labels)).toBe(false),
  );

  test("is not taken in by names that every object has", () => {
    expect(fitsLabels(access("a", "shop", { labels: { constructor: "x" } }), {})).toBe(false);
  });

  test("fits every workload where it names none", () => {
    expect(fitsLabels(access("a", "shop"), {})).toBe(true);
    expect(fitsLabels(access("a", "shop", { labels: {} }), {})).toBe(true);
  });
});

test.each([
  [{ labels: { "": "x" } }, "a label has an empty name"],
  [{ labels: { app: "*" } }, "no star has a meaning here"],
  [{ labels: { "a*": "x" } }, "no star has a meaning here"],
  // A version to come may know this field, and whom it leaves out.
  [{ targets: ["x"] } as unknown as WorkloadSelector, 'a selector has no field "targets"'],
])("the selector %j is refused", (selector, message) => {
  expect(checkPolicy(access("a", "shop", selector))[0]?.message).toContain(message);
});

test("a policy in the root namespace may name a service of any namespace, but not one that is nowhere", () => {
  const service: Policy = { kind: "Service", name: "reviews", namespace: "shop" };
  expect(checkPolicies([service, access("a", "istio-system", { service: "reviews" })])).toEqual([]);
  expect(checkPolicies([service, access("a", "istio-system", { service: "revews" })])).toEqual([
    expect.objectContaining({
      path: "selector.service",
      message: 'there is no service "revews" in any namespace',
      suggestion: '"reviews"',
    }),
  ]);
});
