import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { corpus } from "../test/corpus.ts";
import {
  normalizePath,
  type PathNormalization,
  pathForRules,
  pathInRules,
  pathNormalizations,
  queryOf,
} from "./path-normalization.ts";

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

test.each<[PathNormalization, string, string | undefined]>([
  ["none", "/a/../%2e//b?c", "/a/../%2e//b"],
  ["none", "/%zz", "/%zz"],
  ["none", "/a b", undefined],
  ["none", "a", undefined],
  ["base", "/a//../b%2fc", "/a/b%2fc"],
  ["base", "//a", "//a"],
  ["base", "/%zz", undefined],
  ["base", "/a/..%2fb", "/a/..%2fb"],
  ["base", '/a"<{|}>^`', "/a%22%3C%7B%7C%7D%3E%5E%60"],
  ["merge-slashes", "//a//..//b%2fc", "/a/b%2fc"],
  ["merge-slashes", "/a/..%2fb", "/a/..%2fb"],
  ["decode-and-merge-slashes", "/a%2f%2fb%5C..%2fc", "/a/c"],
  ["decode-and-merge-slashes", "/a/..%2f..%2fetc", "/etc"],
  ["decode-and-merge-slashes", "/a%252fb", "/a%252fb"],
])("with %s, %s is read as %s", (mode, target, path) => {
  expect(normalizePath(target, mode)).toBe(path);
});

test("rules compare escapes without regard to their case, but for none", () => {
  expect(pathForRules("/a%2fb%c3", "base")).toBe("/a%2Fb%C3");
  expect(pathForRules("/a%2fb", "none")).toBe("/a%2fb");
});

test("rules may name a path in any of its spellings", () => {
  expect(pathInRules("/caf\u00e9/*")).toBe("/caf%C3%A9/*");
  expect(pathInRules("/caf%c3%a9/{*}")).toBe("/caf%C3%A9/{*}");
  expect(pathInRules("/%61dmin*")).toBe("/admin*");
  expect(pathInRules("/a|b")).toBe("/a%7Cb");
  expect(pathInRules("/%61dmin", "none")).toBe("/%61dmin");
});

test.each([
  ["/a", ""],
  ["/a?", "?"],
  ["/a?b=c#d", "?b=c"],
  ["/a#b?c", ""],
])("the query of %s is %j", (target, query) => {
  expect(queryOf(target)).toBe(query);
});

/** Step by step, by the standards' own words (RFC 3986, 5.2.4) and nothing of the real one. */
const slowly = (target: string, mode: PathNormalization): string | undefined => {
  let path = target.replace(/[?#].*$/s, "");
  if (path === "*") return path;
  if (/[\0-\x20\x7f]|[^\0-\xff]/.test(path)) return undefined;
  if (mode === "none") return path.startsWith("/") ? path : undefined;
  if (!/^[/\\]/.test(path)) return undefined;
  if (mode === "decode-and-merge-slashes") path = path.replace(/%2f/gi, "/").replace(/%5c/gi, "\\");
  if (/%(?![0-9a-f]{2})|%00/i.test(path)) return undefined;
  path = path.replace(/%([0-9a-f]{2})/gi, (whole, hex) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /[\w.~-]/.test(character) ? character : mode === "strict" ? whole.toUpperCase() : whole;
  });
  path = path
    .replace(/["<>^`{|}\x80-\xff]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`)
    .replaceAll("\\", "/");
  if (mode === "strict" && path.split(/(\/|%2F|%5C)/).some((each, at, all) => isDots(each) && escapedBeside(all, at))) {
    return undefined;
  }
  let output = "";
  while (path !== "") {
    if (path.startsWith("/./")) path = path.slice(2);
    else if (path === "/.") path = "/";
    else if (path.startsWith("/../") || path === "/..") {
      path = `/${path.slice(4)}`;
      output = output.slice(0, Math.max(0, output.lastIndexOf("/")));
    } else {
      const end = path.indexOf("/", 1);
      output += end < 0 ? path : path.slice(0, end);
      path = end < 0 ? "" : path.slice(end);
    }
  }
  return mode === "base" ? output : output.replace(/\/+/g, "/");
};

const isDots = (text: string): boolean => text === "." || text === "..";
const escapedBeside = (parts: readonly string[], at: number): boolean =>
  [parts[at - 1], parts[at + 1]].some((each) => each?.startsWith("%"));

const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("/", ".", "..", "/..", "//", "/./", "a", "b", "~", "-") },
  {
    weight: 4,
    arbitrary: fc.constantFrom("%2f", "%2F", "%2e", "%2E", "%5c", "%5C", "\\", "%41", "%61", "%7e", "%25", "%252e"),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "%",
      "%0",
      "%00",
      "%zz",
      " ",
      "\u0000",
      "\u0101",
      "\u00e9",
      "%c3%a9",
      "{",
      "|",
      '"',
      "^",
      "*",
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom("?", "#", "?/..", "#/..") },
);
const target = fc
  .tuple(fc.constantFrom("/", "/", "/", "", "\\"), fc.array(piece, { maxLength: 10 }))
  .map(([first, pieces]) => first + pieces.join(""));

/** What the standard for URLs makes of a path: the same, where a URL can say it and the mode does nothing besides. */
const asUrl = (path: string): string | undefined => URL.parse(`http://h${path}`)?.pathname;

test("100,000 paths are read as a slow reader reads them, once and for all", { timeout: 180_000 }, () => {
  let [malformed, changed, compared] = [0, 0, 0];
  fc.assert(
    fc.property(target, fc.constantFrom(...pathNormalizations), (received, mode) => {
      const path = normalizePath(received, mode);
      expect(path).toBe(slowly(received, mode));
      if (path === undefined) {
        malformed++;
        return;
      }
      expect(normalizePath(path, mode)).toBe(path);
      if (mode === "none" || path === "*") return;
      if (path !== received) changed++;
      expect(path).not.toMatch(/\/\.{1,2}(\/|$)|\\|[?#]/);
      if (mode !== "base") expect(path).not.toContain("//");
      if (mode === "strict") expect(path).not.toMatch(/%[0-9A-F]?[a-f]|(?:%2F|%5C)\.{1,2}(?:\/|%2F|%5C|$)/);
      // A URL decodes nothing but dots, and reads nothing else than we do out of what we forward.
      const url = asUrl(path);
      if (url !== undefined && !path.startsWith("//")) {
        compared++;
        expect(url).toBe(path);
      }
    }),
    { numRuns: 100_000 },
  );
  for (const count of [malformed, changed, compared]) expect(count).toBeGreaterThan(10_000);
});

const traffic = corpus<{ normalization: { type: string; pairs: [string, string][] }[] }>("istio/traffic.json");

const modes: Readonly<Record<string, PathNormalization>> = {
  NONE: "none",
  BASE: "base",
  MERGE_SLASHES: "merge-slashes",
  DECODE_AND_MERGE_SLASHES: "decode-and-merge-slashes",
};

describe.skipIf(traffic.missing)(`paths of Istio's own tests${traffic.note}`, () => {
  const cases = (traffic.read()?.normalization ?? []).flatMap(({ type, pairs }) =>
    pairs.map(([received, forwarded]) => ({ type, received, forwarded })),
  );
  test("there are some", () => expect(traffic.missing || cases.length > 40).toBe(true));
  test.each(cases)("with $type, $received is forwarded as $forwarded", ({ type, received, forwarded }) => {
    const mode = modes[type];
    if (mode === undefined) throw new Error(`there is no mode ${type}`);
    expect(normalizePath(received, mode)).toBe(forwarded);
  });
  test.each(cases.filter(({ type }) => type === "MERGE_SLASHES"))(
    "strict reads $received alike, or refuses it",
    (each) => {
      const path = normalizePath(each.received);
      if (/%2f%2e%2e%2f/i.test(each.received)) expect(path).toBeUndefined();
      else expect(path).toBe(pathForRules(each.forwarded, "merge-slashes"));
    },
  );
});
