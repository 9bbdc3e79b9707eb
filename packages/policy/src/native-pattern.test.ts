import { expect, test } from "vitest";
import { nativePattern } from "./native-pattern.ts";

test.each([
  ["/a.b", "/a[^\\n]b"],
  ["[.]\\.", "[.]\\."],
  ["\\s+[\\s,]\\S", "[\\t\\n\\f\\r ]+[\\t\\n\\f\\r ,][^\\t\\n\\f\\r ]"],
  ["[^\\]\\s].", "[^\\]\\t\\n\\f\\r ][^\\n]"],
  ["(?:a)(?<b>c)", "(?:a)(?<b>c)"],
])("%s is read as %s", (pattern, native) => {
  expect(nativePattern(pattern)).toBe(native);
});

test.each(["(?i)a", "(?i:a)", "(?s).", "[\\S]"])("%s is left to RE2", (pattern) => {
  expect(nativePattern(pattern)).toBeUndefined();
});
