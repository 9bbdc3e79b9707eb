import { describe, expect, test } from "vitest";
import { formatResourceName, parseResourceName, type ResourceReference } from "./resource-name.ts";

describe("a resource's name", () => {
  test.each<[string, ResourceReference]>([
    ["mesh", { kind: "mesh" }],
    ["names/-", { kind: "names", leaf: "-" }],
    ["service/default/reviews", { kind: "service", service: "default/reviews" }],
    ["external-names/01", { kind: "external-names", leaf: "01" }],
    ["external/default/payments", { kind: "external", service: "default/payments" }],
    ["inbound/default/reviews", { kind: "inbound", service: "default/reviews" }],
    ["endpoints/default/reviews/010", { kind: "endpoints", service: "default/reviews", leaf: "010" }],
    ["revocations/-", { kind: "revocations", leaf: "-" }],
    ["bundle/cluster.local", { kind: "bundle", trustDomain: "cluster.local" }],
  ])("%s is read and printed", (name, reference) => {
    expect(parseResourceName(name)).toEqual(reference);
    expect(formatResourceName(reference)).toBe(name);
  });

  test.each([
    "",
    "mesh/x",
    "names",
    "names/",
    "service/default",
    "service/default/",
    "endpoints/a/b",
    "endpoints/a/b/c/d",
    "rollout/a",
  ])("%j is not known", (name) => {
    expect(parseResourceName(name)).toBeUndefined();
  });
});
