import { expect, test } from "vitest";
import {
  compileHeaderChanges,
  describeHeaderChanges,
  type HeaderChanges,
  wrongChangedHeader,
} from "./header-changes-policy.ts";

const list = ["Accept", "text/html", "x-old", "1", "X-Old", "2", "x-keep", "3"];

test.each<[string, HeaderChanges, readonly string[]]>([
  ["removes every value, without case", { remove: ["X-OLD"] }, ["Accept", "text/html", "x-keep", "3"]],
  [
    "sets in the place of all values, named as written",
    { set: { "X-OLD": "new" } },
    ["Accept", "text/html", "X-OLD", "new", "x-keep", "3"],
  ],
  ["sets what was not there", { set: { "X-New": "4" } }, [...list, "X-New", "4"]],
  ["adds beside what was there", { add: { "x-old": "5" } }, [...list, "x-old", "5"]],
  [
    "removes, then sets, then adds",
    { remove: ["x-old"], set: { "x-old": "set" }, add: { "x-old": "added" } },
    ["Accept", "text/html", "x-keep", "3", "x-old", "set", "x-old", "added"],
  ],
])("%s", (_, changes, expected) => {
  expect(compileHeaderChanges([changes])?.(list)).toEqual(expected);
});

test("of several steps the last one wins", () => {
  const change = compileHeaderChanges([
    { set: { a: "destination" }, add: { b: "1" } },
    undefined,
    { set: { A: "rule" } },
  ]);
  expect(change?.([])).toEqual(["A", "rule", "b", "1"]);
});

test("a change of nothing is none", () => {
  expect(compileHeaderChanges([undefined, {}, { set: {} }])).toBeUndefined();
});

test("the list that is given stays as it is", () => {
  const given = Object.freeze([...list]);
  compileHeaderChanges([{ remove: ["accept"], set: { "x-old": "n" }, add: { z: "1" } }])?.(given);
  expect(given).toEqual(list);
});

test("changes tell themselves in one line", () => {
  expect(describeHeaderChanges({ remove: ["a", "b"], set: { c: "1" } })).toBe("removes a, b; sets c");
});

test.each([
  ["Host", "use rewrite.host"],
  [":authority", "use rewrite.host"],
  [":path", "use rewrite.path"],
  [":method", "belongs to the protocol"],
  ["Connection", "belongs to one connection"],
  ["Transfer-Encoding", "says where the body ends"],
  ["content-length", "says where the body ends"],
  ["x-envoy-attempt-count", "said by the mesh itself"],
  ["tulle-refused", "said by the mesh itself"],
  ["x-forwarded-client-cert", "said by the mesh itself"],
  ["no header", "is not the name of a header"],
])("%s is refused: %s", (name, reason) => {
  expect(wrongChangedHeader(name)).toContain(reason);
});
