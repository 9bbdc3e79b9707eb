import fc from "fast-check";
import { expect, test } from "vitest";
import { splitUrl } from "./split-url.ts";

const byUrl = (text: string) => {
  const { origin, pathname, search } = new URL(text);
  return { origin, path: pathname + search };
};

test.each([
  "http://reviews",
  "http://reviews/reviews/7?a=b&c=%20d",
  "http://reviews:9080/a",
  "http://reviews/a/../b",
  "http://reviews/a/%2e%2E/b",
  "http://reviews/a b",
  "http://reviews/ü?ü",
  "http://reviews/a#fragment",
  "http://reviews?only=query",
  "http://user:pass@reviews/a",
  "http://reviews/a'b?c'd",
  "http://reviews\\a",
  "http://[::1]:80/a",
])("%s is split as URL does", (url) => expect(splitUrl(url)).toEqual(byUrl(url)));

test("any path is split as URL does", () => {
  fc.assert(
    fc.property(fc.webPath(), fc.webQueryParameters(), (path, query) => {
      const url = `http://reviews/${path}?${query}`;
      fc.pre(!url.endsWith("?"));
      expect(splitUrl(url)).toEqual(byUrl(url));
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), (path) => {
      const url = `http://reviews/${path}`;
      fc.pre(!url.endsWith("?"));
      expect(splitUrl(url)).toEqual(byUrl(url));
    }),
  );
});

test("what is no URL is refused", () => {
  expect(() => splitUrl("/relative")).toThrow(TypeError);
  expect(() => splitUrl("http://")).toThrow(TypeError);
});
