import { expect, test } from "vitest";
import type { Policy } from "./policy.ts";
import { DEFAULT_MESH, inboundFor, meshPolicyOf, serviceNamesOf, servicesOf } from "./select.ts";

const policies: readonly Policy[] = [
  { kind: "Route", name: "zebra", services: ["reviews"], rules: [{}] },
  {
    kind: "Route",
    name: "ant",
    services: ["reviews.svc", "reviews.default.svc.cluster.local", "reviews"],
    rules: [{}],
  },
  { kind: "Route", name: "other", namespace: "another", services: ["reviews.default"], rules: [{}] },
  { kind: "Route", name: "lost", services: ["nowhere"], rules: [{}] },
  { kind: "Service", name: "reviews", hosts: ["reviews.example.com"] },
  { kind: "Service", name: "details" },
  { kind: "Access", name: "for-all" },
  { kind: "Access", name: "for-details", selector: { service: "details" } },
  { kind: "Access", name: "elsewhere", namespace: "another" },
  { kind: "Authentication", name: "all" },
];

test("a service has the routes that name it in any form, once each, by namespace and name", () => {
  const services = servicesOf(policies);
  expect([...services.keys()]).toEqual(["default/details", "default/reviews"]);
  expect(services.get("default/reviews")?.routes.map(({ name }) => name)).toEqual(["other", "ant", "zebra"]);
  expect(services.get("default/details")?.routes).toEqual([]);
});

test("entries that did not change keep their identity", () => {
  const before = servicesOf(policies);
  const after = servicesOf([...policies, { kind: "Route", name: "new", services: ["details"], rules: [{}] }], before);
  expect(after.get("default/reviews")).toBe(before.get("default/reviews"));
  expect(after.get("default/details")).not.toBe(before.get("default/details"));
});

test("a service is admitted by the policies of its namespace that select it or all", () => {
  const names = (key: "default/reviews" | "default/details") => inboundFor(policies, key)?.access.map((p) => p.name);
  expect(names("default/reviews")).toEqual(["for-all"]);
  expect(names("default/details")).toEqual(["for-all", "for-details"]);
  expect(inboundFor(policies, "default/reviews")?.authentication.map(({ name }) => name)).toEqual(["all"]);
  expect(inboundFor(policies, "default/nowhere")).toBeUndefined();
});

test("without a Mesh policy the default one holds", () => {
  expect(meshPolicyOf(policies)).toBe(DEFAULT_MESH);
  expect(meshPolicyOf([{ kind: "Mesh", name: "mesh", trustDomain: "prod" }]).trustDomain).toBe("prod");
});

test("the names of all services, with the hosts that they claim", () => {
  expect(serviceNamesOf(policies)).toEqual([
    { key: "default/details" },
    { key: "default/reviews", hosts: ["reviews.example.com"] },
  ]);
});
