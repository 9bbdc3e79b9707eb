import { expect, test } from "vitest";
import { readDocuments } from "./read-documents.ts";
import { translate } from "./translate.ts";

const translated = (yaml: string) => translate(readDocuments(yaml, "documents.yaml", "default").documents);

/** Longer than a service's name may be. */
const tooLong = "x".repeat(300);

test("of a document whose policy Tulle would refuse nothing is left, not even its other policies", () => {
  const { policies, findings } = translated(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: outside }
spec:
  hosts: [api.example.com]
  http: [{ route: [{ destination: { host: ${tooLong} } }] }]
`);
  expect(policies).toEqual([]);
  expect(findings).toMatchObject([{ level: "refused", document: "VirtualService/default/outside" }]);
});

test("a Service outlives what is said of it and is refused", () => {
  const { policies, findings } = translated(`
apiVersion: v1
kind: Service
metadata: { name: reviews }
spec: { ports: [{ port: 80 }] }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: "no header" } } }
`);
  expect(findings).toMatchObject([{ level: "refused", document: "DestinationRule/default/reviews" }]);
  expect(policies).toMatchObject([{ kind: "Service", name: "reviews", port: 80 }]);
});

const virtualService = (http: string): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec: { hosts: [reviews], http: [{ route: [{ destination: { host: reviews } }], ${http} }] }
`;

const httpRoute = (rule: string): string => `
apiVersion: v1
kind: Service
metadata: { name: reviews }
spec: { ports: [{ port: 80 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews }
spec:
  parentRefs: [{ group: "", kind: Service, name: reviews }]
  rules: [{ backendRefs: [{ name: reviews, port: 80 }], ${rule} }]
`;

test.each([
  virtualService("match: [{ headers: { __proto__: { exact: a } } }]"),
  virtualService("headers: { request: { set: { __proto__: a } } }"),
  virtualService("match: [{ sourceLabels: { __proto__: a } }]"),
  httpRoute("matches: [{ headers: [{ name: __proto__, value: a }] }]"),
  httpRoute(
    "filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: __proto__, value: a }] } }]",
  ),
])("a name that a copied map would lose is refused, never dropped: %#", (yaml) => {
  const { policies, findings } = translated(yaml);
  const refused = findings.filter(({ level }) => level === "refused").map(({ message }) => message);
  expect(refused).toEqual(expect.arrayContaining(['"__proto__" is a name that nothing can have here']));
  expect(policies.filter(({ kind }) => kind === "Route")).toEqual([]);
});

test.each(["toString", "constructor", "__proto__"])("%s is no condition of a retry", (word) => {
  const { findings } = translated(virtualService(`retries: { attempts: 1, retryOn: "${word}" }`));
  expect(findings.map(({ message }) => message)).toEqual([`"${word}" is no condition of a retry`]);
});
