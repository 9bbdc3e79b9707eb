import { expect, test } from "vitest";
import { MAX_MATCHED_CHARACTERS } from "./regex-engine.ts";
import { MAX_SUBSTITUTED_CHARACTERS, substitutionEngine } from "./substitution.ts";

const replaced = (pattern: string, substitution: string, text: string): string =>
  substitutionEngine({ pattern, substitution })(text);

// The examples of Envoy's regex_rewrite, and what RE2's GlobalReplace does at the edges.
test.each([
  ["^/service/([^/]+)(/.*)$", "\\2/instance/\\1", "/service/foo/v1/api", "/v1/api/instance/foo"],
  ["one", "two", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"],
  ["^(.*?)one(.*)$", "\\1two\\2", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/one/zzz"],
  ["(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", "/aaa/yyy/bbb"],
  ["/a", "\\0\\0", "/a/b", "/a/a/b"],
  ["/a", "\\\\1", "/a/b", "\\1/b"],
  ["/a(x)?", "/c\\1", "/a/b", "/c/b"],
  ["nothing", "x", "/a/b", "/a/b"],
  ["/b$", "", "/a/b", "/a"],
  ["x*", "-", "/a", "-/-a-"],
])("%s to %s makes of %s %s", (pattern, substitution, text, expected) => {
  expect(replaced(pattern, substitution, text)).toBe(expected);
});

test("a text beyond the bound stays as it is, and so does one that would grow beyond it", () => {
  const long = `/${"a".repeat(MAX_MATCHED_CHARACTERS)}`;
  expect(replaced("a", "b", long)).toBe(long);
  const growing = "a".repeat(1_000);
  expect(replaced("a", "b".repeat(MAX_SUBSTITUTED_CHARACTERS / 1_000 + 1), growing)).toBe(growing);
});

test("a group that the pattern does not have is refused when it is compiled", () => {
  expect(() => substitutionEngine({ pattern: "(a)", substitution: "\\2" })).toThrow(RangeError);
});
