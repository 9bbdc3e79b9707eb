import { expect, test } from "vitest";
import { readDocuments } from "../read-documents.ts";
import { translate } from "../translate.ts";

const refusalsFor = (delegate: string): readonly string[] => {
  const { documents } = readDocuments(
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: root }
spec: { hosts: [reviews], http: [{ delegate: ${delegate} }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: leaf }
spec: { http: [{ route: [{ destination: { host: reviews } }] }] }
`,
    "delegates.yaml",
    "default",
  );
  const { findings } = translate(documents);
  return findings.filter(({ level }) => level === "refused").map(({ path, message }) => `${path}: ${message}`);
};

test("the name of a delegate is a text, and it has no other fields", () => {
  expect(refusalsFor("{ name: leaf, namespace: default }")).toEqual([]);
  expect(refusalsFor("{ name: { toString: 1 } }")).toEqual([
    'spec.http[0].delegate.name: {"toString":1} is not a text',
  ]);
  expect(refusalsFor("{ name: leaf, weight: 1 }")).toEqual([
    'spec.http[0].delegate.weight: Delegate has no field "weight"',
  ]);
});
