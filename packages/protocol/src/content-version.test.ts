import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { canonicalJson, contentVersion } from "./content-version.ts";

describe("canonicalJson", () => {
  test("sorts keys, drops absent fields, keeps the order of lists", () => {
    expect(canonicalJson({ b: [2, 1], a: { d: null, c: undefined } })).toBe('{"a":{"d":null},"b":[2,1]}');
  });

  property.prop([fc.jsonValue()])("says the same as JSON, whatever the order of keys", (value) => {
    const text = canonicalJson(value);
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    expect(canonicalJson(reversed(value))).toBe(text);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, () => 1, 1n, Symbol("x")])(
    "refuses what JSON cannot say: %s",
    (value) => {
      expect(() => canonicalJson(value)).toThrow(TypeError);
    },
  );
});

test("a version is 22 characters of base64url", () => {
  expect(contentVersion('{"names":[]}')).toBe("ORPY1_yxbY-C0-UcxlZ-Qg");
});

const reversed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, each]) => [key, reversed(each)]),
  );
};
