import { expect, test } from "vitest";
import { flattenHeaders } from "./call-headers.ts";

test.each([
  ["nothing", null, []],
  [
    "an object",
    { a: "1", b: ["2", "3"], c: undefined, d: 4 as unknown as string },
    ["a", "1", "b", "2", "b", "3", "d", "4"],
  ],
  ["a flat list", ["a", "1", "b", "2"], ["a", "1", "b", "2"]],
  ["pairs", new Map([["a", "1"]]), ["a", "1"]],
  ["control headers", { "X-Envoy-Attempt-Count": "3", "tulle-refused": "unprocessed", a: "1" }, ["a", "1"]],
  ["the same length twice", ["content-length", "1", "Content-Length", "1"], ["content-length", "1"]],
  ["the same length twice in one value", { "content-length": "1, 1" }, ["content-length", "1"]],
  ["two lengths in one value, which undici refuses", { "content-length": "1, 2" }, ["content-length", "1, 2"]],
  [
    "two lengths, which undici refuses",
    ["content-length", "1", "content-length", "2"],
    ["content-length", "1", "content-length", "2"],
  ],
])("%s", (_name, headers, list) => expect(flattenHeaders(headers).list).toEqual(list));

test("the caller's Host is taken out", () => {
  expect(flattenHeaders({ Host: "shown", a: "1" })).toMatchObject({ host: "shown", list: ["a", "1"] });
});
