import { expect, test } from "vitest";
import { mergeServices } from "./merge-services.ts";

test("parts of a Service are one policy, of which the first word counts", () => {
  const origin = { file: "services.yaml", line: 1 };
  expect(
    mergeServices([
      { kind: "Service", name: "reviews", namespace: "shop", port: 80, origin },
      { kind: "Service", name: "reviews", namespace: "other" },
      { kind: "Service", name: "reviews", namespace: "shop", port: 81, retryBudget: { ratio: 0.1 } },
    ]),
  ).toEqual([
    { kind: "Service", name: "reviews", namespace: "shop", port: 80, origin, retryBudget: { ratio: 0.1 } },
    { kind: "Service", name: "reviews", namespace: "other" },
  ]);
});

test("policies of other kinds stay as they are, whatever their names", () => {
  const rules = [{}];
  const routes = [1, 2].map(() => ({ kind: "Route" as const, name: "same", services: ["reviews"], rules }));
  expect(mergeServices(routes)).toEqual(routes);
});
