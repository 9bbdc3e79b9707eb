import type { RoutePolicy } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { classifyPattern, MAX_PATTERN_LENGTH, patternsForRe2, proveRegexes, withoutProofs } from "./policy-regex.ts";

describe("a pattern", () => {
  test.each([
    ["/reviews/[0-9]+", { syntax: "re2", linear: true }],
    ["jason|alice", { syntax: "re2", linear: true }],
    // Istio's own sample, quadratic on a backtracking engine.
    ["^(.*?;)?(user=jason)(;.*)?$", { syntax: "re2", linear: false }],
    ["(a+)+", { syntax: "re2", linear: false }],
    // Read otherwise by V8, so never run on it.
    ["[[:alpha:]]+", { syntax: "re2", linear: false }],
    ["\\Aabc\\z", { syntax: "re2", linear: false }],
    ["(?i)jason", { syntax: "re2", linear: false }],
    // Two halves that only together make a whole.
    ["a)(b", { syntax: "invalid", reason: expect.stringContaining("unexpected )") }],
    ["a(?=b)", { syntax: "invalid", reason: expect.stringContaining("(?=") }],
    ["(a)\\1", { syntax: "invalid", reason: expect.stringContaining("\\1") }],
    ["x".repeat(MAX_PATTERN_LENGTH + 1), { syntax: "invalid", reason: expect.stringContaining("1025 characters") }],
  ])("%s", async (pattern, found) => {
    expect(await classifyPattern(pattern)).toEqual(found);
  });
});

const route: RoutePolicy = {
  kind: "Route",
  name: "reviews",
  services: ["reviews"],
  origin: { file: "reviews.yaml", line: 3 },
  rules: [
    { match: [{ path: { regex: "/a/[0-9]+" }, headers: { cookie: { regex: "(x+)+" }, regex: { exact: "no" } } }] },
    { match: [{ query: { q: { regex: "a(?=b)", invert: true } } }] },
  ],
};

test("linear patterns of a route get the proof, others stay, impossible ones are told with their place", async () => {
  const { policy, problems } = await proveRegexes(route);
  expect(policy).toEqual({
    ...route,
    rules: [
      {
        match: [
          {
            path: { regex: "/a/[0-9]+", linear: true },
            headers: { cookie: { regex: "(x+)+" }, regex: { exact: "no" } },
          },
        ],
      },
      route.rules[1],
    ],
  });
  expect(problems).toEqual([
    {
      policy: "Route/default/reviews",
      path: "rules[1].match[0].query.q.regex",
      message: expect.stringContaining('the pattern "a(?=b)" is not RE2'),
      origin: { file: "reviews.yaml", line: 3 },
    },
  ]);
});

test("patterns of retries get their proofs as well, in a route and in the mesh's defaults", async () => {
  const retry = { retriableHeaders: { "x-shed": { regex: "[0-9]+" } } };
  const proven = { retriableHeaders: { "x-shed": { regex: "[0-9]+", linear: true } } };
  const ofRoute = await proveRegexes({ ...route, rules: [{ retry }] });
  expect(ofRoute.policy).toMatchObject({ rules: [{ retry: proven }] });
  const ofMesh = await proveRegexes({ kind: "Mesh", name: "mesh", defaults: { retry } });
  expect(ofMesh.policy).toMatchObject({ defaults: { retry: proven } });
});

test("patterns of a fault's headers get their proofs as well", async () => {
  const fault = { headers: { "end-user": { regex: "jason[0-9]*" } }, abort: { status: 503 } };
  const { policy } = await proveRegexes({ ...route, rules: [{ fault }] });
  expect(policy).toMatchObject({
    rules: [{ fault: { headers: { "end-user": { regex: "jason[0-9]*", linear: true } }, abort: { status: 503 } } }],
  });
});

test("every comparison of a match gets its proof", async () => {
  const linear = { regex: "[a-z]+" };
  const match = {
    path: linear,
    method: linear,
    scheme: linear,
    authority: linear,
    headers: { a: linear },
    query: { a: linear },
    source: { identity: linear },
  };
  const { policy } = await proveRegexes({ kind: "Route", name: "r", services: ["s"], rules: [{ match: [match] }] });
  expect(JSON.stringify(policy).match(/"linear":true/g)).toHaveLength(7);
  const { problems } = await proveRegexes({
    kind: "Route",
    name: "r",
    services: ["s"],
    rules: [{ match: [{ source: { identity: { regex: "(?=a)" } } }] }],
  });
  expect(problems.map(({ path }) => path)).toEqual(["rules[0].match[0].source.identity.regex"]);
});

test("a proof that somebody brings along counts for nothing", async () => {
  const forged: RoutePolicy = { ...route, rules: [{ match: [{ path: { regex: "(x+)+", linear: true } }] }] };
  const { policy } = await proveRegexes(forged);
  expect(policy).toMatchObject({ rules: [{ match: [{ path: { regex: "(x+)+" } }] }] });
  expect(JSON.stringify(policy)).not.toContain("linear");
});

test("what is read back carries no proofs", async () => {
  const { policy } = await proveRegexes(route);
  expect(withoutProofs(policy)).toEqual(route);
});

test("patterns of allowed origins get their proofs as well", async () => {
  const cors = { allowOrigins: [{ regex: "https://[a-z]+" }, { exact: "*" }] };
  const { policy } = await proveRegexes({ ...route, rules: [{ cors }] });
  expect(policy).toMatchObject({ rules: [{ cors: { allowOrigins: [{ linear: true }, { exact: "*" }] } }] });
  expect(withoutProofs(policy)).toMatchObject({ rules: [{ cors }] });
});

test("substitutions run on re2js whatever their pattern is, and impossible ones are told with their place", async () => {
  const regex = { pattern: "/a", substitution: "/b" };
  const right: RoutePolicy = { ...route, rules: [{ rewrite: { regex } }] };
  expect((await proveRegexes(right)).problems).toEqual([]);
  expect(patternsForRe2(right)).toEqual(["/a"]);
  const { problems } = await proveRegexes({
    ...route,
    rules: [
      { rewrite: { regex: { pattern: "a(?=b)", substitution: "" } } },
      { redirect: { regex: { pattern: "(a)", substitution: "\\1\\\\3\\2" } } },
    ],
  });
  expect(problems).toMatchObject([
    { path: "rules[0].rewrite.regex", message: expect.stringContaining('the pattern "a(?=b)" is not RE2') },
    { path: "rules[1].redirect.regex", message: "the substitution names group 2, but the pattern has 1" },
  ]);
});
