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
