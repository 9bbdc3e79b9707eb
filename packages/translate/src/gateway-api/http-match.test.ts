import { describe, expect, test } from "vitest";
import { httpRoute, refusalsOf, rulesOf } from "../../test/gateway-documents.ts";

const matchOf = (match: string) => rulesOf(httpRoute(`[{ matches: [${match}] }]`))[0]?.match;
const refusedFor = (match: string) => refusalsOf(httpRoute(`[{ matches: [${match}] }]`));

describe("an HTTPRouteMatch", () => {
  test.each([
    ["{}", undefined],
    ["{ path: { value: / } }", undefined],
    ["{ path: { value: /a/ } }", [{ path: { prefix: "/a" } }]],
    ["{ path: { type: PathPrefix, value: /a } }", [{ path: { prefix: "/a" } }]],
    ["{ path: { type: Exact, value: /a/ } }", [{ path: { exact: "/a/" } }]],
    ['{ path: { type: RegularExpression, value: "/a/[0-9]+" } }', [{ path: { regex: "/a/[0-9]+" } }]],
    ["{ method: GET }", [{ methods: ["GET"] }]],
    ["{ headers: [{ name: Version, value: v2 }] }", [{ headers: { Version: { exact: "v2" } } }]],
    ["{ headers: [{ type: RegularExpression, name: v, value: 'v[0-9]' }] }", [{ headers: { v: { regex: "v[0-9]" } } }]],
    ["{ queryParams: [{ name: a, value: b }] }", [{ query: { a: { exact: "b" } } }]],
    [
      "{ queryParams: [{ name: a, value: b }, { name: A, value: c }] }",
      [{ query: { a: { exact: "b" }, A: { exact: "c" } } }],
    ],
  ])("%s is %o", (match, expected) => expect(matchOf(match)).toEqual(expected));

  test("takes the first of two header names that differ in case alone", () => {
    expect(matchOf("{ headers: [{ name: x, value: a }, { name: X, value: b }] }")).toEqual([
      { headers: { x: { exact: "a" } } },
    ]);
  });

  test.each([
    ["{ path: { value: a } }", 'does not begin with "/"'],
    ["{ path: { value: /a//b } }", 'holds "//"'],
    ["{ path: { value: /a/../b } }", 'holds "/../"'],
    ["{ path: { value: /a/.. } }", "ends with a dot segment"],
    ["{ path: { value: '/a%2Fb' } }", 'holds "%2F"'],
    ["{ path: { value: '/a#b' } }", 'holds "#"'],
    ["{ path: { value: '/a b' } }", "is no path of a URL"],
    ["{ path: { type: RegularExpression, value: '(?=a)' } }", "no regular expression of RE2"],
    [`{ path: { value: /${"a".repeat(1_024)} } }`, "longer than 1024"],
    ["{ path: { type: Suffix, value: /a } }", "is not one of"],
    ["{ method: get }", "is not one of"],
    ["{ headers: [{ name: x, value: a }, { name: x, value: b }] }", '"x" is there twice'],
    ["{ headers: [{ name: 'a b', value: c }] }", "no name of a header"],
    ["{ headers: [{ name: a, value: '' }] }", "a value is needed"],
    ["{ queryParams: [{ name: a }] }", "a value is needed"],
    [`{ queryParams: [{ name: a, value: ${"b".repeat(1_025)} }] }`, "longer than 1024"],
    [
      `{ headers: [${Array.from({ length: 17 }, (_, at) => `{ name: h${at}, value: v }`).join(", ")}] }`,
      "17 are more than 16",
    ],
    ["{ body: x }", 'has no field "body"'],
  ])("%s is refused", (match, reason) => {
    expect(refusedFor(match)).toEqual(expect.arrayContaining([expect.stringContaining(reason)]));
  });
});

describe("the rules of an HTTPRoute", () => {
  const many = (count: number, of: string): string => `[${Array.from({ length: count }, () => of).join(", ")}]`;

  test.each([
    ["more than 16 rules", httpRoute(many(17, "{}")), "17 are more than 16"],
    ["more than 64 matches of one", httpRoute(`[{ matches: ${many(65, "{}")} }]`), "65 are more than 64"],
    ["more than 128 matches in all", httpRoute(many(3, `{ matches: ${many(43, "{}")} }`)), "129 matches"],
    ["two of one name", httpRoute("[{ name: a }, { name: a }]"), '"a" is there twice'],
    ["a name with capital letters", httpRoute("[{ name: Named }]"), "is no name"],
    [
      "more than 16 backends",
      httpRoute(`[{ backendRefs: ${many(17, "{ name: v1, port: 80 }")} }]`),
      "17 are more than 16",
    ],
  ])("are refused with %s", (_, yaml, reason) => {
    expect(refusalsOf(yaml)).toEqual(expect.arrayContaining([expect.stringContaining(reason)]));
  });
});
