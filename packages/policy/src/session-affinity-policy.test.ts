import { expect, test } from "vitest";
import { checkPolicies } from "./check-policies.ts";
import { effectiveSessionAffinity, type SessionAffinity } from "./session-affinity-policy.ts";

test("a cookie for all paths that lasts as long as the browser, never to be read by scripts", () => {
  expect(effectiveSessionAffinity({ cookie: {} })).toEqual({
    by: "cookie",
    name: "tulle-session",
    ttlMs: Number.POSITIVE_INFINITY,
    attributes: "; Path=/; HttpOnly",
  });
});

test("every field of the cookie is written", () => {
  const cookie = { name: "shop", path: "/cart", secure: true, sameSite: "none" } as const;
  expect(effectiveSessionAffinity({ cookie, ttl: "1h" })).toEqual({
    by: "cookie",
    name: "shop",
    ttlMs: 3_600_000,
    attributes: "; Path=/cart; Max-Age=3600; HttpOnly; Secure; SameSite=None",
  });
});

test("a header is compared without case", () => {
  expect(effectiveSessionAffinity({ header: "X-Session" })).toMatchObject({ by: "header", name: "x-session" });
});

test.each<[string, SessionAffinity, string[]]>([
  ["neither", {}, ["rules[0].sessionAffinity: set exactly one of cookie, header"]],
  ["both", { cookie: {}, header: "x" }, ["rules[0].sessionAffinity: cookie and header are set: set exactly one"]],
  [
    "what would split the header",
    { cookie: { name: "a b", path: "/;Domain=evil" } },
    [
      'rules[0].sessionAffinity.cookie.name: "a b" is not the name of a header',
      'rules[0].sessionAffinity.cookie.path: "/;Domain=evil" is not the path of a cookie: begin it with "/"',
    ],
  ],
  [
    "a cookie that browsers refuse",
    { cookie: { sameSite: "none" } },
    ["rules[0].sessionAffinity.cookie.sameSite: browsers refuse sameSite none without secure: set both"],
  ],
  [
    "a session too short",
    { cookie: {}, ttl: "10ms" },
    ['rules[0].sessionAffinity.ttl: "10ms" is not a duration from "1s" to "576h"'],
  ],
])("session affinity: %s", (_, sessionAffinity, expected) => {
  const problems = checkPolicies([
    { kind: "Service", name: "reviews" },
    { kind: "Route", name: "reviews", services: ["reviews"], rules: [{ sessionAffinity }] },
  ]);
  expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual(expected);
});
