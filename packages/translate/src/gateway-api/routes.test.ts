import { describe, expect, test } from "vitest";
import { gatewayDocument, grpcRoute, httpRoute, kubernetesService, statusesOf } from "../../test/gateway-documents.ts";
import { translated } from "../../test/translated.ts";

const reviews = kubernetesService("reviews", "[{ port: 80, name: http }, { port: 7070, name: grpc }]");
const v1 = kubernetesService("v1");
const to = (name: string, port = 80): string => `[{ backendRefs: [{ name: ${name}, port: ${port} }] }]`;
const resolved = "ResolvedRefs=True ResolvedRefs";
const under = "under Service/shop/reviews";

describe("the conditions of routes", () => {
  test("say that a route holds and that its references lead to something", () => {
    expect(statusesOf(reviews + v1 + httpRoute(to("v1")))).toEqual([
      `HTTPRoute/shop/route ${under}: Accepted=True Accepted, ${resolved}`,
    ]);
  });

  test.each([
    ["a Service that is not there", to("nobody"), "BackendNotFound"],
    ["a port that the Service has not", to("v1", 81), "BackendNotFound"],
    ["another kind", "[{ backendRefs: [{ kind: Bucket, group: storage.example, name: photos }] }]", "InvalidKind"],
    [
      "another namespace without a grant",
      "[{ backendRefs: [{ name: v1, namespace: other, port: 80 }] }]",
      "RefNotPermitted",
    ],
  ])("name a reference to %s, and the route is taken", (_, rules, reason) => {
    expect(statusesOf(reviews + v1 + httpRoute(rules))).toEqual([
      `HTTPRoute/shop/route ${under}: Accepted=True Accepted, ResolvedRefs=False ${reason}`,
    ]);
  });

  test("name a backend that speaks what gRPC cannot be", () => {
    const socket = kubernetesService("v1", "[{ port: 80, appProtocol: kubernetes.io/ws }]");
    expect(statusesOf(reviews + socket + grpcRoute(to("v1")))).toEqual([
      `GRPCRoute/shop/route ${under}: Accepted=True Accepted, ResolvedRefs=False UnsupportedProtocol`,
    ]);
  });

  test.each([
    ["a value that is not supported", "[{ matches: [{ method: FETCH }] }]", "UnsupportedValue"],
    [
      "filters that do not go together",
      "[{ filters: [{ type: RequestRedirect, requestRedirect: {} }, { type: URLRewrite, urlRewrite: { hostname: x } }] }]",
      "IncompatibleFilters",
    ],
  ])("refuse a document with %s under each of its parents", (_, rules, reason) => {
    const refs = ["reviews", "v1"].map((name) => `{ group: "", kind: Service, name: ${name} }`).join(", ");
    const route = gatewayDocument("HTTPRoute", "route", `{ parentRefs: [${refs}], rules: ${rules} }`);
    expect(statusesOf(reviews + v1 + route)).toEqual([
      `HTTPRoute/shop/route ${under}: Accepted=False ${reason}, ${resolved}`,
      `HTTPRoute/shop/route under Service/shop/v1: Accepted=False ${reason}, ${resolved}`,
    ]);
  });

  test("say why, with the way to the field", () => {
    const { policies, findings } = translated(reviews + httpRoute("[{ matches: [{ method: FETCH }] }]"));
    expect(policies.map(({ kind }) => kind)).toEqual(["Service"]);
    expect(findings).toEqual([
      expect.stringMatching(
        /^refused HTTPRoute\/shop\/route spec.rules\[0\].matches\[0\].method: "FETCH" is not one of/,
      ),
    ]);
  });

  test("tell of a parent that is not there, or has no such port or section", () => {
    const parents = ["{ name: nobody }", "{ name: reviews, port: 81 }", "{ name: reviews, sectionName: metrics }"].map(
      (each) => each.replace("{", '{ group: "", kind: Service,'),
    );
    const route = gatewayDocument("HTTPRoute", "route", `{ parentRefs: [${parents[0]}], rules: ${to("v1")} }`);
    const others = parents
      .slice(1)
      .map((parent, at) =>
        gatewayDocument("HTTPRoute", `other-${at}`, `{ parentRefs: [${parent}], rules: ${to("v1")} }`),
      );
    expect(statusesOf([reviews, v1, route, ...others].join(""))).toEqual([
      `HTTPRoute/shop/route under Service/shop/nobody: Accepted=False NoMatchingParent, ${resolved}`,
      `HTTPRoute/shop/other-0 under Service/shop/reviews:81: Accepted=False NoMatchingParent, ${resolved}`,
      `HTTPRoute/shop/other-1 under Service/shop/reviews: Accepted=False NoMatchingParent, ${resolved}`,
    ]);
  });

  test("are not told of parents that are no Services", () => {
    const route = gatewayDocument("HTTPRoute", "route", "{ parentRefs: [{ name: public }] }");
    expect(statusesOf(reviews + route)).toEqual([]);
    expect(translated(reviews + route).findings).toEqual([expect.stringContaining("it is bound to no Service")]);
  });

  test("refuse what has no meaning where the user is strict", () => {
    const route = gatewayDocument(
      "HTTPRoute",
      "route",
      `{ parentRefs: [{ group: "", kind: Service, name: reviews }], hostnames: [shop.example], rules: ${to("v1")} }`,
    );
    const [status] = statusesOf(reviews + v1 + route, { strict: true });
    expect(status).toContain("Accepted=False UnsupportedValue");
  });
});

describe("a GRPCRoute and an HTTPRoute of one service", () => {
  const older = 'creationTimestamp: "2020-01-01T00:00:00Z"';

  test("are in conflict, and the GRPCRoute holds, whichever is older", () => {
    const both = reviews + v1 + httpRoute(to("v1"), "http", older) + grpcRoute(to("v1"), "grpc");
    expect(statusesOf(both)).toEqual([
      `HTTPRoute/shop/http ${under}: Accepted=False Conflicted, ${resolved}`,
      `GRPCRoute/shop/grpc ${under}: Accepted=True Accepted, ${resolved}`,
    ]);
    expect(
      translated(both)
        .policies.filter(({ kind }) => kind === "Route")
        .map(({ name }) => name),
    ).toEqual(["grpc"]);
  });

  test("hold both where the GRPCRoute is for one port, which it has for itself", () => {
    const spec = `{ parentRefs: [{ group: "", kind: Service, name: reviews, port: 7070 }], rules: ${to("v1")} }`;
    const both = reviews + v1 + httpRoute(to("v1"), "http") + gatewayDocument("GRPCRoute", "grpc", spec);
    expect(statusesOf(both).every((each) => each.includes("Accepted=True"))).toBe(true);
    const [route] = translated(both).policies.filter((policy) => policy.kind === "Route");
    expect(
      route?.rules.map(({ name, match, directResponse }) => [name, match, directResponse?.headers?.["grpc-status"]]),
    ).toEqual([
      ["grpc/0", [{ port: 7070 }], undefined],
      [undefined, [{ port: 7070 }], "12"],
      ["http/0", undefined, undefined],
    ]);
    expect(route?.unmatched).toBe("refuse");
  });

  test("a refused GRPCRoute takes nothing from the HTTPRoute", () => {
    const both = reviews + v1 + httpRoute(to("v1"), "http") + grpcRoute("[{ matches: [{ method: {} }] }]", "grpc");
    expect(statusesOf(both)).toEqual([
      `HTTPRoute/shop/http ${under}: Accepted=True Accepted, ${resolved}`,
      `GRPCRoute/shop/grpc ${under}: Accepted=False UnsupportedValue, ${resolved}`,
    ]);
  });
});

describe("services of GRPCRoutes", () => {
  const protocolsOf = (yaml: string) =>
    translated(yaml)
      .policies.filter((policy) => policy.kind === "Service")
      .map(({ name, protocol }) => [name, protocol]);

  test("speak HTTP/2 where a port of theirs speaks HTTP, and gRPC where none does", () => {
    const plain = kubernetesService("plain", "[{ port: 9000 }]");
    const h2c = kubernetesService("h2c", "[{ port: 9000, appProtocol: kubernetes.io/h2c }]");
    const rules = "[{ backendRefs: [{ name: plain, port: 9000 }, { name: h2c, port: 9000 }] }]";
    expect(protocolsOf(reviews + plain + h2c + v1 + grpcRoute(rules))).toEqual([
      ["reviews", "http2"],
      ["plain", "grpc"],
      ["h2c", "http2"],
      ["v1", undefined],
    ]);
  });
});

test("where documents stand does not matter", () => {
  const documents = [
    reviews,
    v1,
    httpRoute(to("v1"), "b"),
    httpRoute("[{ matches: [{ path: { value: /a } }], backendRefs: [{ name: reviews, port: 80 }] }]", "a"),
    httpRoute(to("v1"), "old", 'creationTimestamp: "2020-01-01T00:00:00Z"'),
    gatewayDocument(
      "GRPCRoute",
      "a",
      `{ parentRefs: [{ group: "", kind: Service, name: v1 }], rules: ${to("reviews")} }`,
    ),
  ];
  const policiesOf = (yaml: readonly string[]) =>
    translated(yaml.join(""))
      .policies.map((policy) => JSON.stringify(policy).replaceAll(/"origin":\{[^}]*\},?/g, ""))
      .sort();
  const forwards = policiesOf(documents);
  expect(forwards).toHaveLength(4);
  expect(policiesOf([...documents].reverse())).toEqual(forwards);
});
