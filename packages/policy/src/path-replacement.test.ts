import { expect, test } from "vitest";
import { compilePathReplacement, replaceMatched } from "./path-replacement.ts";
import type { RouteMatch } from "./route-match.ts";
import { compileRoutes } from "./route-matcher.ts";

const asked = { method: "GET", scheme: "http", authority: "a", port: 80 };

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

test.each([
  ["/a/b", "/a", "/x", "/x/b"],
  ["/ab", "/a", "/x", "/xb"],
  ["/a/b", "/a/", "/x/", "/x/b"],
  ["/a/b", "/a/", "/x", "/xb"],
  ["/a", "/a", "", "/"],
])("%s that starts with the text %s, replaced by %j, is %s", (path, startsWith, replacement, expected) => {
  expect(replaceMatched(path, { startsWith }, replacement)).toBe(expected);
});

const substitute = () => (text: string) => text.replace("/reviews", "");

test("the whole path is replaced whatever was matched", () => {
  expect(compilePathReplacement({ path: "/one" }, substitute)?.("/full/one/two", { regex: "/full.*" })).toBe("/one");
});

test("a substitution that takes the slash away gets it back", () => {
  const replace = compilePathReplacement({ regex: { pattern: "", substitution: "" } }, substitute);
  expect(replace?.("/reviews", undefined)).toBe("/");
});

test("of several alternatives, the prefix of the one that the call met is replaced", () => {
  const match: readonly RouteMatch[] = [
    { path: { prefix: "/a" }, headers: { canary: { exact: "yes" } } },
    { path: { prefix: "/a/b" } },
    { path: { exact: "/c" } },
  ];
  const find = compileRoutes([{ kind: "Route", name: "r", services: ["a"], rules: [{ match }] }], () => () => false);
  const replace = compilePathReplacement({ prefix: "/new" }, substitute);
  const sent = (path: string, headers: Readonly<Record<string, string>> = {}): string | undefined =>
    replace?.(path, find({ ...asked, path, header: (name) => headers[name] })?.match?.path);
  expect(sent("/a/b/d")).toBe("/new/d");
  expect(sent("/a/b/d", { canary: "yes" })).toBe("/new/b/d");
  expect(sent("/c")).toBe("/new");
});
