import { compileRoutes, type Policy } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { readPolicies } from "./read-policies.ts";

const policies = await readPolicies();
const ofKind = <Kind extends Policy["kind"]>(kind: Kind) =>
  policies.filter((policy): policy is Extract<Policy, { kind: Kind }> => policy.kind === kind);

const call = { method: "GET", path: "/reviews/0", scheme: "http", authority: "reviews", port: 80 };

describe("a call to reviews", () => {
  const find = compileRoutes(ofKind("Route"), () => () => false);
  const splitFor = (headers: Record<string, string>) => find({ ...call, header: (name) => headers[name] })?.rule.split;

  test("is divided between v1 and v2", () => {
    expect(splitFor({})).toEqual([
      { subset: "v1", weight: 80 },
      { subset: "v2", weight: 20 },
    ]);
  });

  test("goes to v2 for jason, and only for jason", () => {
    expect(splitFor({ "end-user": "jason" })).toEqual([{ subset: "v2" }]);
    expect(splitFor({ "end-user": "jasone" })).toHaveLength(2);
  });

  test("goes to v3 where it is asked for", () => {
    expect(splitFor({ "x-reviews": "v3" })).toEqual([{ subset: "v3" }]);
  });
});

test("each service says who may call it", () => {
  const services = ofKind("Service").map(({ name }) => name);
  const guarded = ofKind("Access").map(({ selector }) => selector?.service);
  expect(guarded.sort()).toEqual(services.sort());
});
