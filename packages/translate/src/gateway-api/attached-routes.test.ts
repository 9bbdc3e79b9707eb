import { describe, expect, test } from "vitest";
import { gatewayDocument, grpcRoute, httpRoute, routeOf, rulesOf } from "../../test/gateway-documents.ts";
import { translated } from "../../test/translated.ts";

const to = (name: string): string => `[{ backendRefs: [{ name: ${name}, port: 80 }] }]`;
const bound = (name: string, parent: string, rules: string, namespace = "shop"): string =>
  `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: ${namespace} }
spec: { parentRefs: [{ group: "", kind: Service, ${parent} }], rules: ${rules} }
---
`;
const refused = { directResponse: { status: 404 } };

describe("the routes of a service", () => {
  test("refuse what no rule fits", () => {
    expect(routeOf(httpRoute(to("v1")))).toMatchObject({
      kind: "Route",
      name: "route",
      namespace: "shop",
      services: ["reviews"],
      unmatched: "refuse",
    });
    expect(rulesOf(httpRoute(to("v1")))).toEqual([{ name: "route/0", split: [{ service: "v1" }] }]);
  });

  test("of gRPC answer what no rule fits with UNIMPLEMENTED", () => {
    const route = routeOf(
      grpcRoute("[{ matches: [{ method: { method: Get } }], backendRefs: [{ name: v1, port: 80 }] }]"),
    );
    expect(route.unmatched).toBeUndefined();
    expect(route.rules.at(-1)).toEqual({
      directResponse: {
        status: 200,
        headers: {
          "content-type": "application/grpc",
          "grpc-status": "12",
          "grpc-message": "no GRPCRoute fits the call",
        },
      },
    });
  });

  test("of one port hold for calls on it, and refuse no others", () => {
    const route = routeOf(bound("route", "name: reviews, port: 8080", to("v1")));
    expect(route.unmatched).toBeUndefined();
    expect(route.rules).toMatchObject([
      { split: [{ service: "v1" }], match: [{ port: 8080 }] },
      { match: [{ port: 8080 }], ...refused },
    ]);
  });

  test("of a section hold for the port of that name", () => {
    const service = `apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: shop }
spec: { ports: [{ port: 80, name: http }, { port: 8080, name: alt }] }
---
`;
    const v1 = service.replace("reviews", "v1");
    expect(rulesOf(service + v1 + bound("route", "name: reviews, sectionName: alt", to("v1")))).toMatchObject([
      { match: [{ port: 8080 }] },
      { match: [{ port: 8080 }] },
    ]);
  });

  test("of consumers stand before the producer's, for callers of their namespace alone", () => {
    const both =
      bound("producer", "name: reviews", to("v1")) +
      bound("consumer", "name: reviews, namespace: shop", to("v2"), "web");
    const route = routeOf(both);
    expect([route.name, route.namespace, route.unmatched]).toEqual(["reviews-routes", "shop", "refuse"]);
    expect(route.rules).toMatchObject([
      { name: "consumer/0", match: [{ source: { namespace: "web" } }], split: [{ service: "v2.web" }] },
      { match: [{ source: { namespace: "web" } }], ...refused },
      { name: "producer/0", split: [{ service: "v1" }] },
    ]);
  });

  test("of a consumer alone leave the calls of all others as they are", () => {
    const route = routeOf(bound("consumer", "name: reviews, namespace: shop", to("v2"), "web"));
    expect(route.unmatched).toBeUndefined();
    expect(route.rules.every(({ match }) => match?.every(({ source }) => source?.namespace === "web"))).toBe(true);
  });

  test("carry the place of the document that each is of", () => {
    const route = routeOf(httpRoute(to("v1"), "a") + httpRoute(to("v2"), "b"));
    expect(route.rules.map(({ name, origin }) => [name, origin?.line])).toEqual([
      ["a/0", 1],
      ["b/0", 6],
    ]);
  });

  test("of one document bound to two services have a name each", () => {
    const parents = ["reviews", "ratings"].map((name) => `{ group: "", kind: Service, name: ${name} }`).join(", ");
    const spec = `{ parentRefs: [${parents}], rules: ${to("v1")} }`;
    const { policies } = translated(gatewayDocument("HTTPRoute", "route", spec));
    expect(policies.map((policy) => policy.kind === "Route" && [policy.name, policy.services])).toEqual([
      ["route", ["ratings"]],
      ["route-reviews", ["reviews"]],
    ]);
  });

  test("lose nothing to a document that is refused beside them", () => {
    const both = httpRoute(to("v1"), "good") + httpRoute("[{ matches: [{ method: FETCH }] }]", "bad");
    expect(rulesOf(both)).toEqual([{ name: "good/0", split: [{ service: "v1" }] }]);
  });

  test("with an empty list of rules refuse every call", () => {
    expect(rulesOf(httpRoute("[]"))).toEqual([refused]);
  });
});
