import { describe, expect, test } from "vitest";
import { MAX_MATCHED_CHARACTERS, regexEngine, supportedPolicyFeatures } from "./regex-engine.ts";

describe("regexEngine", () => {
  test.each([{}, { linear: true }] as const)("matches the whole text, proof %j", (proof) => {
    const matches = regexEngine("a|bc", proof);
    expect(["a", "bc", "abc", "ab", ""].map(matches)).toEqual([true, true, false, false, false]);
  });

  test("what only RE2 can say runs on re2js, whatever was proved", () => {
    expect(regexEngine("(?i)jason", { linear: true })("JASON")).toBe(true);
  });

  test("a pattern that stalls V8 does not stall without a proof", () => {
    expect(regexEngine("^(a+)+$", {})(`${"a".repeat(2_000)}!`)).toBe(false);
  });

  test("text over the bound never matches", () => {
    const matches = regexEngine("a*", { linear: true });
    expect(matches("a".repeat(MAX_MATCHED_CHARACTERS))).toBe(true);
    expect(matches("a".repeat(MAX_MATCHED_CHARACTERS + 1))).toBe(false);
  });

  test("says that it can, where re2js is installed", () => {
    expect(supportedPolicyFeatures()).toContain("policy:regex-re2");
  });

  test("what is not RE2 is refused", () => {
    expect(() => regexEngine("(a)\\1", {})).toThrow();
  });
});
