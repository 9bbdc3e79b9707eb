import { expect, test } from "vitest";
import { type AdaptiveThrottling, effectiveAdaptiveThrottling } from "./adaptive-throttling-policy.ts";
import { checkPolicy } from "./check-policy.ts";

const problemsOf = (adaptiveThrottling: AdaptiveThrottling) =>
  checkPolicy({ kind: "Service", name: "reviews", adaptiveThrottling }).map(
    ({ path, message }) => `${path}: ${message}`,
  );

test("nothing is throttled unless the policy asks", () => {
  expect(effectiveAdaptiveThrottling({ kind: "Service", name: "reviews" })).toBeUndefined();
  expect(effectiveAdaptiveThrottling({ kind: "Service", name: "reviews", adaptiveThrottling: false })).toBeUndefined();
});

test("the defaults are those of the SRE book, Finagle and Envoy", () => {
  const { rejections, ...figures } =
    effectiveAdaptiveThrottling({ kind: "Service", name: "reviews", adaptiveThrottling: {} }) ?? {};
  expect(figures).toEqual({
    multiplier: 2,
    windowMs: 120_000,
    minimumRequestsPerSecond: 5,
    maxRejectionPercent: 80,
  });
  expect([429, 500, 503, 599].every((status) => rejections?.has(status))).toBe(true);
  expect([200, 404, 499].some((status) => rejections?.has(status))).toBe(false);
});

test.each<[AdaptiveThrottling, string]>([
  [{ multiplier: 1 }, "adaptiveThrottling.multiplier: 1 is not a number from 1.1 to 100"],
  [{ maxRejectionPercent: 101 }, "adaptiveThrottling.maxRejectionPercent: 101 is not a number from 0 to 100"],
  [{ rejections: [200] }, "adaptiveThrottling.rejections[0]: 200 is not a whole number from 400 to 599"],
  [{ window: "1ms" }, 'adaptiveThrottling.window: "1ms" is not a duration from "1s" to "1h"'],
])("%o is refused", (policy, problem) => {
  expect(problemsOf(policy)).toEqual([problem]);
});
