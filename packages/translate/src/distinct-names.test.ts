import { expect, test } from "vitest";
import { readDocuments } from "./read-documents.ts";
import { translate } from "./translate.ts";

const namesOf = (yaml: string): readonly string[] => {
  const { documents } = readDocuments(yaml, "names.yaml", "default");
  return translate(documents).policies.map(({ kind, name }) => `${kind}/${name}`);
};

const virtualService = (name: string, host: string): string => `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec: { hosts: [${host}], http: [{ route: [{ destination: { host: ${host} } }] }] }
`;

test("documents of two kinds and one name that become one kind of policy have a name each", () => {
  const httpRoute = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews }
spec:
  parentRefs: [{ group: "", kind: Service, name: ratings }]
  rules: [{ backendRefs: [{ name: ratings, port: 80 }] }]
---
apiVersion: v1
kind: Service
metadata: { name: ratings }
spec: { ports: [{ port: 80 }] }
`;
  const names = namesOf(virtualService("reviews", "reviews") + httpRoute);
  expect(names).toEqual(["Service/ratings", "Route/reviews", "Route/reviews-httproute"]);
  expect(namesOf(httpRoute), "alone it keeps the name").toEqual(["Service/ratings", "Route/reviews"]);
});

test("a host outside that two documents name is told of once", () => {
  const names = namesOf(virtualService("a", "api.example.com") + virtualService("b", "api.example.com"));
  expect(names.filter((name) => name.startsWith("ExternalService/"))).toEqual(["ExternalService/api-example-com"]);
});
