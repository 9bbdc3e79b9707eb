import type { ServicePolicy } from "@tulle/policy";
import { expect, test } from "vitest";
import { mergeServices } from "./merge-services.ts";
import type { TranslatedPolicy } from "./translator.ts";

const service = (fields: Omit<ServicePolicy, "kind">, part?: true): TranslatedPolicy => ({
  policy: { kind: "Service", ...fields },
  from: [],
  ...(part === undefined ? {} : { part }),
});

const merged = (policies: readonly TranslatedPolicy[], existing: Readonly<Record<string, ServicePolicy>> = {}) =>
  // The keys are written as "namespace/name".
  mergeServices(policies, new Map(Object.entries(existing)) as never).map(({ policy }) => policy);

const name = { name: "reviews", namespace: "shop" } as const;
const origin = { file: "services.yaml", line: 1 };

test("parts are laid over the whole policy, whose origin stays, wherever it stands", () => {
  expect(
    merged([
      service({ ...name, tls: { sni: "part" }, origin: { file: "tls.yaml", line: 1 } }, true),
      service({ name: "reviews", namespace: "other" }),
      service({ ...name, port: 80, tls: { sni: "whole" }, origin }),
    ]),
  ).toEqual([
    { kind: "Service", name: "reviews", namespace: "other" },
    { kind: "Service", ...name, port: 80, tls: { sni: "part" }, origin },
  ]);
});

test("of a field that several parts set, the first part's counts", () => {
  const parts = [1, 2].map((ratio) => service({ ...name, retryBudget: { ratio: ratio / 10 } }, true));
  expect(merged(parts)).toEqual([{ kind: "Service", ...name, retryBudget: { ratio: 0.1 } }]);
});

test("a part alone leaves the rest of what holds already as it is", () => {
  const existing: ServicePolicy = { kind: "Service", ...name, port: 9080, retryBudget: { ratio: 1 } };
  expect(merged([service({ ...name, retryBudget: { ratio: 0.3 } }, true)], { "shop/reviews": existing })).toEqual([
    { ...existing, retryBudget: { ratio: 0.3 } },
  ]);
});

test("policies of other kinds stay as they are, whatever their names", () => {
  const rules = [{}];
  const routes = [1, 2].map(() => ({
    policy: { kind: "Route" as const, name: "same", services: ["reviews"], rules },
    from: [],
  }));
  expect(merged(routes)).toEqual(routes.map(({ policy }) => policy));
});
