import { expect, test } from "vitest";
import { compilePathReplacement, replaceMatched } from "./path-replacement.ts";
import type { RouteMatch } from "./route-match.ts";
import { compileRoutes, type RouteQuestion } from "./route-matcher.ts";

const noRegex = (): never => {
  throw new Error("no pattern here");
};
const tools = {
  substitute: () => (text: string) => text.replace("/v1/", "/v2/"),
  matcherOf: (routes: Parameters<typeof compileRoutes>[0]) => compileRoutes(routes, noRegex),
};

const asked = (path: string, headers: Readonly<Record<string, string>> = {}): RouteQuestion => ({
  method: "GET",
  path,
  scheme: "http",
  authority: "reviews",
  port: 80,
  header: (name) => headers[name],
});

// The table of the Gateway API's ReplacePrefixMatch, and what it leaves open.
test.each([
  ["/foo/bar", "/foo", "/xyz", "/xyz/bar"],
  ["/foo/bar", "/foo", "/xyz/", "/xyz/bar"],
  ["/foo/bar", "/foo/", "/xyz", "/xyz/bar"],
  ["/foo/bar", "/foo/", "/xyz/", "/xyz/bar"],
  ["/foo", "/foo", "/xyz", "/xyz"],
  ["/foo/", "/foo", "/xyz", "/xyz/"],
  ["/foo/bar", "/foo", "", "/bar"],
  ["/foo/", "/foo", "", "/"],
  ["/foo", "/foo", "", "/"],
  ["/foo/", "/foo", "/", "/"],
  ["/foo", "/foo", "/", "/"],
  ["/foo", "/foo/", "/xyz/", "/xyz"],
  ["/foo", "/", "/xyz", "/xyz/foo"],
  ["/", "/", "/", "/"],
])("%s under the prefix %s, replaced by %j, is %s", (path, prefix, replacement, expected) => {
  expect(replaceMatched(path, { prefix }, replacement)).toBe(expected);
});

test.each([
  ["/foo", "/xyz", "/xyz"],
  ["/foo/", "/xyz/", "/xyz/"],
  ["/foo", "", "/"],
])("%s, matched exactly and replaced by %j, is %s", (path, replacement, expected) => {
  expect(replaceMatched(path, { exact: path }, replacement)).toBe(expected);
});

test("the whole path is replaced whatever was matched", () => {
  expect(compilePathReplacement({ path: "/one" }, undefined, tools)?.("/full/one/two", asked("/full/one/two"))).toBe(
    "/one",
  );
});

test("a substitution that takes the slash away gets it back", () => {
  const replace = compilePathReplacement({ regex: { pattern: "", substitution: "" } }, undefined, {
    ...tools,
    substitute: () => () => "reviews",
  });
  expect(replace?.("/x", asked("/x"))).toBe("/reviews");
});

test("of several alternatives, the prefix of the one that the call met is replaced", () => {
  const matches: readonly RouteMatch[] = [
    { path: { prefix: "/a" }, headers: { canary: { exact: "yes" } } },
    { path: { prefix: "/a/b" } },
    { path: { exact: "/c" } },
  ];
  const replace = compilePathReplacement({ prefix: "/new" }, matches, tools);
  expect(replace?.("/a/b/d", asked("/a/b/d"))).toBe("/new/d");
  expect(replace?.("/a/b/d", asked("/a/b/d", { canary: "yes" }))).toBe("/new/b/d");
  expect(replace?.("/c", asked("/c"))).toBe("/new");
});
