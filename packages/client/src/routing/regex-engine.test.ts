import fc from "fast-check";
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

test("a proven pattern matches on V8 what it matches on re2js", () => {
  const atom = fc.constantFrom(
    "a",
    "b",
    ".",
    "\\s",
    "\\S",
    "\\d",
    "\\w",
    "\\.",
    "[a.]",
    "[^a]",
    "[^\\s]",
    "[\\sa]",
    "\\b",
    "^",
    "$",
  );
  const pattern = fc.letrec<{ whole: string; part: string }>((tie) => ({
    whole: fc.array(tie("part"), { maxLength: 4 }).map((parts) => parts.join("")),
    part: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      atom,
      fc
        .tuple(fc.constantFrom("a", ".", "\\s", "[^a]"), fc.constantFrom("*", "+", "?", "{2}"))
        .map((pair) => pair.join("")),
      fc.tuple(tie("whole"), tie("whole")).map(([left, right]) => `(?:${left}|${right})`),
    ),
  })).whole;
  // What the two count otherwise: line ends and spaces that are not ASCII.
  const sign = fc.constantFrom("a", "b", "1", ".", " ", "\n", "\r", "\v", "\u00a0", "\u2028", "\ufeff", "\u00e9");
  fc.assert(
    fc.property(pattern, fc.array(sign, { maxLength: 5 }), (written, signs) => {
      const text = signs.join("");
      expect(regexEngine(written, { linear: true })(text)).toBe(regexEngine(written, {})(text));
    }),
    { numRuns: 2_000 },
  );
});
