import { describe, expect, test } from "vitest";
import { grpcRoute, refusalsOf, rulesOf } from "../../test/gateway-documents.ts";

const matchOf = (match: string) =>
  rulesOf(grpcRoute(`[{ matches: [${match}], backendRefs: [{ name: v1, port: 80 }] }]`))[0]?.match;
const refusedFor = (match: string) => refusalsOf(grpcRoute(`[{ matches: [${match}] }]`));

describe("a GRPCRouteMatch", () => {
  test.each([
    ["{}", undefined],
    ["{ method: { service: shop.Reviews, method: Get } }", [{ path: { exact: "/shop.Reviews/Get" } }]],
    ["{ method: { type: Exact, service: shop.Reviews } }", [{ path: { startsWith: "/shop.Reviews/" } }]],
    ["{ method: { method: Get } }", [{ path: { regex: "/[^/]+/Get" } }]],
    ["{ method: { type: RegularExpression, service: 'shop[.].*' } }", [{ path: { regex: "/(?:shop[.].*)/[^/]+" } }]],
    [
      "{ method: { type: RegularExpression, service: a, method: 'Get|List' } }",
      [{ path: { regex: "/(?:a)/(?:Get|List)" } }],
    ],
    ["{ headers: [{ name: version, value: v2 }] }", [{ headers: { version: { exact: "v2" } } }]],
  ])("%s is %o", (match, expected) => expect(matchOf(match)).toEqual(expected));

  test.each([
    ["{ method: {} }", "a service or a method is needed"],
    ["{ method: { type: Exact } }", "a service or a method is needed"],
    ["{ method: { service: shop/Reviews } }", "no name of a service of gRPC"],
    ["{ method: { service: shop..Reviews } }", "no name of a service of gRPC"],
    ["{ method: { method: Get-All } }", "no name of a method of gRPC"],
    ["{ method: { type: RegularExpression, method: '(' } }", "no regular expression of RE2"],
    ["{ path: { value: / } }", 'has no field "path"'],
  ])("%s is refused", (match, reason) => {
    expect(refusedFor(match)).toEqual(expect.arrayContaining([expect.stringContaining(reason)]));
  });
});

describe("the rules of a GRPCRoute", () => {
  test.each([
    ["a redirect", "[{ filters: [{ type: RequestRedirect, requestRedirect: {} }] }]", "is not one of"],
    ["timeouts", "[{ timeouts: { request: 1s } }]", 'has no field "timeouts"'],
    ["retries", "[{ retry: { attempts: 1 } }]", 'has no field "retry"'],
  ])("have no %s", (_, rules, reason) => {
    expect(refusalsOf(grpcRoute(rules))).toEqual(expect.arrayContaining([expect.stringContaining(reason)]));
  });

  test("answer calls that lead nowhere with UNAVAILABLE, as many as their weights say", () => {
    const service = "apiVersion: v1\nkind: Service\nmetadata: { name: X, namespace: shop }\nspec: {}\n---\n";
    const known = ["reviews", "v1"].map((name) => service.replace("X", name)).join("");
    const rules = "[{ backendRefs: [{ name: v1, port: 80, weight: 3 }, { name: nobody, port: 80 }] }]";
    expect(rulesOf(known + grpcRoute(rules))).toMatchObject([
      { match: [{ fraction: 25 }], directResponse: { status: 200, headers: { "grpc-status": "14" } } },
      { split: [{ service: "v1", weight: 3 }] },
      { directResponse: { headers: { "grpc-status": "12" } } },
    ]);
  });
});
