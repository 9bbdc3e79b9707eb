import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { corpus } from "../test/corpus.ts";
import { normalizePath } from "./path-normalization.ts";

test.each([
  ["/", "/"],
  ["/reviews/7", "/reviews/7"],
  ["/reviews/7?a=/../b", "/reviews/7"],
  ["/a#b", "/a"],
  ["/a/", "/a/"],
  ["/a.b/.c/...", "/a.b/.c/..."],
  ["//a///b//", "/a/b/"],
  ["/a/./b/../c", "/a/c"],
  ["/a/b/..", "/a/"],
  ["/a/.", "/a/"],
  ["/../../a", "/a"],
  ["/%61dmin", "/admin"],
  ["/a/%2e%2E/b", "/b"],
  ["/a/%2e./b", "/b"],
  ["/a%2fb", "/a%2Fb"],
  ["/group%2Fproject", "/group%2Fproject"],
  ["/caf%c3%a9", "/caf%C3%A9"],
  ["/caf\u00c3\u00a9", "/caf%C3%A9"],
  ["/a%20b", "/a%20b"],
  ["/a\\b", "/a/b"],
  ["/a/..\\b", "/b"],
  ["/a;v=1/b", "/a;v=1/b"],
  ["/a%252e%252e/b", "/a%252e%252e/b"],
  ["/:.@!$&'()*+,=", "/:.@!$&'()*+,="],
  ["*", "*"],
])("%s is read as %s", (target, path) => {
  expect(normalizePath(target)).toBe(path);
});

test.each([
  [""],
  ["reviews"],
  ["http://reviews/7"],
  ["?a"],
  ["/%"],
  ["/%4"],
  ["/%zz"],
  ["/a%00"],
  ["/a b"],
  ["/a\u0000"],
  ["/a\n"],
  ["/a\u007f"],
  ["/a\u0101"],
  ["/a/..%2fb"],
  ["/a%2f..%2fb"],
  ["/a%5c.."],
  ["/a%2F./b"],
])("%j is malformed", (target) => {
  expect(normalizePath(target)).toBeUndefined();
});

test("what is normal stays as it is", () => {
  const character = fc.constantFrom("/", ".", "%2f", "%2e", "%41", "%5C", "\\", "a", "é", "~", "%25", "/..", "//");
  fc.assert(
    fc.property(fc.array(character, { maxLength: 12 }), (characters) => {
      const path = normalizePath(`/${characters.join("")}`);
      if (path === undefined) return;
      expect(normalizePath(path)).toBe(path);
      expect(path).not.toMatch(/\/\/|\\|\/\.{1,2}(\/|$)|%[0-9A-F]?[a-f]/);
    }),
    { numRuns: 1_000 },
  );
});

const traffic = corpus<{ normalization: { type: string; pairs: [string, string][] }[] }>("istio/traffic.json");

describe.skipIf(traffic.missing)(`paths of Istio's own tests${traffic.note}`, () => {
  const pairs = traffic.read()?.normalization.find(({ type }) => type === "MERGE_SLASHES")?.pairs ?? [];
  test("there are some", () => expect(traffic.missing || pairs.length > 10).toBe(true));
  test.each(pairs)("%s", (received, forwarded) => {
    const path = normalizePath(received);
    // Stricter than Istio: a dot segment beside an escaped slash is refused. Escapes are written in upper case.
    if (/%2f%2e%2e%2f/i.test(received)) expect(path).toBeUndefined();
    else expect(path).toBe(forwarded.replaceAll(/%[0-9a-f]{2}/gi, (found) => found.toUpperCase()));
  });
});
