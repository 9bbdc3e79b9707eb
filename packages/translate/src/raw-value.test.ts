import { expect, test } from "vitest";
import { isMap, listIn, valueIn } from "./raw-value.ts";

test("what is no map has no fields, and a null is no value", () => {
  expect(valueIn({ a: 1, b: null }, "a")).toBe(1);
  expect(valueIn({ a: 1, b: null }, "b")).toBeUndefined();
  for (const none of [null, undefined, 7, "text", [1]]) {
    expect(isMap(none)).toBe(false);
    expect(valueIn(none, "length")).toBeUndefined();
  }
});

test("what is no list has no items", () => {
  expect(listIn([1, 2])).toEqual([1, 2]);
  for (const none of [null, undefined, 7, "text", { 0: 1 }]) expect(listIn(none)).toEqual([]);
});
