import { expect, test } from "vitest";
import type { Balancer } from "./balancer-policy.ts";
import { checkPolicies } from "./check-policies.ts";
import { describeProblem } from "./policy-problem.ts";

const problemsOf = (size: number, balancer: Balancer): readonly string[] =>
  checkPolicies([{ kind: "Service", name: "a", subsetting: { size }, balancer }]).map(describeProblem);

test("a subset has a size within its range", () => {
  expect(problemsOf(20, { algorithm: "round-robin" })).toEqual([]);
  expect(problemsOf(1, { algorithm: "round-robin" })).toEqual([
    "Service/default/a subsetting.size: 1 is not a whole number from 2 to 10000",
  ]);
});

test.each(["ring-hash", "maglev"] as const)("%s and subsets exclude each other", (algorithm) => {
  expect(problemsOf(20, { algorithm })[0]).toMatch(`Service/default/a subsetting: ${algorithm} sends equal keys`);
});
