import { expect, test } from "vitest";
import { checkPolicies } from "./check-policies.ts";
import { effectiveMirror, type MirrorTarget, shadowAuthority } from "./mirror-policy.ts";

test.each([
  ["reviews", "reviews-shadow"],
  ["reviews:9080", "reviews-shadow:9080"],
  ["reviews.default.svc.cluster.local", "reviews.default.svc.cluster.local-shadow"],
  ["10.0.0.1:80", "10.0.0.1-shadow:80"],
  ["[::1]:80", "[::1]:80"],
  ["[::1]", "[::1]"],
])("the copy of a call to %s goes to %s", (authority, shadow) => expect(shadowAuthority(authority)).toBe(shadow));

test("all calls are copied, 64 at once, unless somebody says otherwise", () => {
  expect(effectiveMirror({})).toEqual({ percent: 100, maxInFlight: 64 });
  expect(effectiveMirror({ percent: 0.5, maxInFlight: 1 })).toEqual({ percent: 0.5, maxInFlight: 1 });
});

test.each<[string, MirrorTarget, string[]]>([
  ["what exists", { service: "ratings", subset: "v2", percent: 12.5 }, []],
  ["the called service's own subset", { subset: "v2" }, []],
  ["an unknown service", { service: "ratigs" }, ["rules[0].mirror[0].service: there is no service default/ratigs"]],
  [
    "an unknown subset",
    { service: "ratings", subset: "v3" },
    ['rules[0].mirror[0].subset: service default/ratings has no subset "v3"; it has v2'],
  ],
  [
    "numbers out of range",
    { percent: 100.1, maxInFlight: 0 },
    [
      "rules[0].mirror[0].percent: 100.1 is not a number from 0 to 100",
      "rules[0].mirror[0].maxInFlight: 0 is not a whole number from 1 to 65535",
    ],
  ],
  [
    "what is no service",
    { service: "http://ratings" },
    [
      'rules[0].mirror[0].service: "http://ratings" is not a service: write "reviews", "reviews.namespace" or "reviews.namespace.svc.cluster.local"',
    ],
  ],
])("a mirror to %s", (_, target, expected) => {
  const problems = checkPolicies([
    { kind: "Service", name: "reviews", subsets: { v2: { version: "v2" } } },
    { kind: "Service", name: "ratings", subsets: { v2: { version: "v2" } } },
    { kind: "Route", name: "reviews", services: ["reviews"], rules: [{ mirror: [target] }] },
  ]);
  expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual(expected);
});
