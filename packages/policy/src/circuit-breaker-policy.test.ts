import { expect, test } from "vitest";
import { checkPolicy } from "./check-policy.ts";
import { type CircuitBreaker, effectiveCircuitBreaker } from "./circuit-breaker-policy.ts";

const problemsOf = (circuitBreaker: CircuitBreaker) =>
  checkPolicy({ kind: "Service", name: "reviews", circuitBreaker }).map(({ path, message }) => `${path}: ${message}`);

test.each<[string, CircuitBreaker]>([
  ["nothing", {}],
  ["the rate alone", { errorPercent: 30, minimumVolume: 5, window: "1m" }],
  ["a row alone", { errorPercent: false, consecutiveFailures: 5 }],
  ["what counts", { failures: ["5xx", "reset"], statuses: [429, "520-529"] }],
  ["statuses alone", { failures: [], statuses: [429] }],
  ["probes and times", { openFor: "1s", maxOpenFor: "1m", halfOpenProbes: 3, scope: "rule" }],
])("a circuit breaker may say %s", (_, circuitBreaker) => {
  expect(problemsOf(circuitBreaker)).toEqual([]);
});

test.each<[CircuitBreaker, string]>([
  [
    { errorPercent: false },
    "circuitBreaker.errorPercent: neither the rate nor a row of failures could open it: write circuitBreaker: false",
  ],
  [
    { failures: [] },
    "circuitBreaker.failures: nothing counts as a failure, so it could never open: write circuitBreaker: false",
  ],
  [{ maxOpenFor: "1s" }, 'circuitBreaker.maxOpenFor: "1s" is shorter than openFor'],
  [{ statuses: [200] }, "circuitBreaker.statuses[0]: 200 is not a whole number from 400 to 599"],
  [{ halfOpenProbes: 0 }, "circuitBreaker.halfOpenProbes: 0 is not a whole number from 1 to 100"],
])("%o is refused", (circuitBreaker, problem) => {
  expect(problemsOf(circuitBreaker)).toEqual([problem]);
});

test("a circuit breaker is filled in from what is said", () => {
  const circuitBreaker: CircuitBreaker = {
    errorPercent: false,
    consecutiveFailures: 3,
    statuses: [429, "500-502"],
    openFor: "2s",
  };
  expect(effectiveCircuitBreaker({ kind: "Service", name: "reviews", circuitBreaker })).toMatchObject({
    errorPercent: undefined,
    consecutiveFailures: 3,
    statuses: [429, 500, 501, 502],
    openForMs: 2_000,
    maxOpenForMs: 2_000,
  });
});
