import { describe, expect, test } from "vitest";
import { grpcRoute, httpRoute, rulesOf } from "../../test/gateway-documents.ts";

const order = (yaml: string): readonly (string | undefined)[] => rulesOf(yaml).map(({ name }) => name);
const rule = (name: string, match: string): string => `{ name: ${name}, matches: [${match}] }`;
const created = (year: number): string => `creationTimestamp: "${year}-01-01T00:00:00Z"`;

describe("the order of an HTTPRoute's matches", () => {
  test.each([
    ["an exact path before a longer prefix", "{ path: { value: /a/b/c } }", "{ path: { type: Exact, value: /a } }"],
    ["a longer prefix before a shorter one", "{ path: { value: /a } }", "{ path: { value: /a/b } }"],
    ["a method before none", "{ headers: [{ name: x, value: y }] }", "{ method: GET }"],
    [
      "more headers before fewer",
      "{ headers: [{ name: x, value: y }] }",
      "{ headers: [{ name: x, value: y }, { name: z, value: y }] }",
    ],
    ["headers before parameters", "{ queryParams: [{ name: x, value: y }] }", "{ headers: [{ name: x, value: y }] }"],
    [
      "more parameters before fewer",
      "{ queryParams: [{ name: x, value: y }] }",
      "{ queryParams: [{ name: x, value: y }, { name: z, value: y }] }",
    ],
  ])("is %s", (_, later, first) => {
    expect(order(httpRoute(`[${rule("later", later)}, ${rule("first", first)}]`))).toEqual([
      "route/first",
      "route/later",
    ]);
  });

  test("is the written one where all else is equal", () => {
    expect(
      order(httpRoute(`[${rule("b", "{ method: GET }")}, ${rule("a", "{ method: PUT }, { method: POST }")}]`)),
    ).toEqual(["route/b", "route/a/0", "route/a/1"]);
  });
});

describe("the order of a GRPCRoute's matches", () => {
  test.each([
    [
      "a longer service before a longer method",
      "{ method: { service: a, method: LongMethod } }",
      "{ method: { service: a.b } }",
    ],
    [
      "a longer method before more headers",
      "{ method: { service: a }, headers: [{ name: x, value: y }] }",
      "{ method: { service: a, method: Get } }",
    ],
    ["more headers before fewer", "{}", "{ headers: [{ name: x, value: y }] }"],
  ])("is %s", (_, later, first) => {
    expect(order(grpcRoute(`[${rule("later", later)}, ${rule("first", first)}]`)).slice(0, 2)).toEqual([
      "route/first",
      "route/later",
    ]);
  });
});

describe("the order of documents", () => {
  const one = "[{ matches: [{ path: { value: /a } }] }]";

  test("is that of their ages, wherever they stand", () => {
    const [younger, older] = [httpRoute(one, "a", created(2025)), httpRoute(one, "b", created(2020))];
    expect(order(younger + older)).toEqual(["b/0", "a/0"]);
    expect(order(older + younger)).toEqual(["b/0", "a/0"]);
  });

  test("is that of their names where they are of one age", () => {
    expect(order(httpRoute(one, "b") + httpRoute(one, "a"))).toEqual(["a/0", "b/0"]);
  });

  test("counts for less than what their matches say", () => {
    const longer = httpRoute("[{ matches: [{ path: { value: /a/b } }] }]", "b", created(2025));
    expect(order(httpRoute(one, "a", created(2020)) + longer)).toEqual(["b/0", "a/0"]);
  });
});
