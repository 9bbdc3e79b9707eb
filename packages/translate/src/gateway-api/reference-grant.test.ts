import { describe, expect, test } from "vitest";
import { httpRoute, kubernetesService, refusalsOf, rulesOf } from "../../test/gateway-documents.ts";

const known = kubernetesService("reviews") + kubernetesService("stock", undefined, "store");
const route = httpRoute("[{ backendRefs: [{ name: stock, namespace: store, port: 80 }] }]");
const grant = (from: string, to: string, namespace = "store"): string =>
  `apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: { name: grant, namespace: ${namespace} }
spec: { from: ${from}, to: ${to} }
---
`;
const routes = "[{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop }]";
const services = '[{ group: "", kind: Service }]';
const isGranted = (grants: string): boolean =>
  rulesOf(known + route + grants)[0]?.split?.[0]?.service === "stock.store";

describe("a reference to another namespace", () => {
  test.each([
    ["without a grant", "", false],
    ["with a grant for all services", grant(routes, services), true],
    ["with a grant for the service", grant(routes, '[{ group: "", kind: Service, name: stock }]'), true],
    ["with a grant for another service", grant(routes, '[{ group: "", kind: Service, name: other }]'), false],
    ["with a grant for another kind", grant(routes, '[{ group: "", kind: Secret }]'), false],
    ["with a grant to another namespace's routes", grant(routes.replace("shop", "web"), services), false],
    ["with a grant to another kind of route", grant(routes.replace("HTTPRoute", "GRPCRoute"), services), false],
    ["with a grant that lives elsewhere", grant(routes, services, "shop"), false],
    ["with a grant that is refused", grant(`${routes.slice(0, -1)}, { kind: HTTPRoute }]`, services), false],
  ])("%s: permitted %s", (_, grants, expected) => expect(isGranted(grants)).toBe(expected));
});

test.each([
  ["no source", grant("[]", services), "at least one entry"],
  ["no target", grant(routes, "[]"), "at least one entry"],
  ["a source without namespace", grant("[{ group: '', kind: HTTPRoute }]", services), "is no namespace"],
  ["a target without kind", grant(routes, "[{ group: '' }]"), "a kind is needed"],
])("a grant with %s is refused", (_, yaml, reason) => {
  expect(refusalsOf(yaml)).toEqual([expect.stringContaining(reason)]);
});
