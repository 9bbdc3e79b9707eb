import type { Policy, ServicePolicy } from "@tulle/policy";
import { expect, test } from "vitest";
import { mergeServices } from "./merge-services.ts";
import { readDocuments } from "./read-documents.ts";
import type { SourceDocument } from "./source-document.ts";

const [one, two] = readDocuments(
  "apiVersion: v1\nkind: Service\nmetadata: { name: one }\n---\napiVersion: v1\nkind: Service\nmetadata: { name: two }",
  "services.yaml",
  "shop",
).documents as [SourceDocument, SourceDocument];

test("parts of a Service are one policy of all their documents, of which the first word counts", () => {
  const origin = { file: "services.yaml", line: 1 };
  const service = (namespace: string, fields: Partial<ServicePolicy>): ServicePolicy => ({
    kind: "Service",
    name: "reviews",
    namespace,
    ...fields,
  });
  expect(
    mergeServices([
      { policy: service("shop", { port: 80, origin }), from: [one] },
      { policy: service("other", {}), from: [one] },
      { policy: service("shop", { port: 81, retryBudget: { ratio: 0.1 } }), from: [one, two] },
    ]),
  ).toEqual([
    { policy: service("shop", { port: 80, origin, retryBudget: { ratio: 0.1 } }), from: [one, two] },
    { policy: service("other", {}), from: [one] },
  ]);
});

test("policies of other kinds stay as they are, whatever their names", () => {
  const routes = [1, 2].map(() => ({
    policy: { kind: "Route", name: "same", services: ["reviews"], rules: [{}] } satisfies Policy,
    from: [one],
  }));
  expect(mergeServices(routes)).toEqual(routes);
});
