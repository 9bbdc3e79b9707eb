import type { StringMatch } from "@tulle/policy";
import { RE2JS } from "re2js";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";

/** Istio's StringMatch. */
export const stringMatchMessage: Message<"exact" | "prefix" | "regex"> = message("StringMatch", {
  exact: to("exact"),
  prefix: to("prefix; of a path, startsWith"),
  regex: to("regex"),
});

type StringMatchFields = FieldsOf<typeof stringMatchMessage>;

/** One way of comparing, as the document has it; `present` for the empty match that headers and queries may have. */
export type Comparison =
  | { readonly way: "exact" | "prefix" | "regex"; readonly text: string }
  | { readonly way: "present" };

/**
 * Reads a comparison. Istio lets one way be set, and refuses the empty text of a prefix or a regex but where a path begins
 * with anything.
 *
 * @param emptyPrefix whether an empty prefix is right: of a path.
 */
export const readComparison = (fields: StringMatchFields, emptyPrefix = false): Comparison | undefined => {
  const set = (["exact", "prefix", "regex"] as const).filter((way) => fields.has(way));
  const [way, second] = set;
  if (way === undefined) return { way: "present" };
  if (second !== undefined) {
    fields.refuse(second, `${way} and ${second} are set: set one`);
    return undefined;
  }
  const text = fields.text(way);
  if (text === undefined) return undefined;
  if (text === "" && way !== "exact" && !(way === "prefix" && emptyPrefix)) {
    fields.refuse(way, `${way} is empty, and would match everything`);
    return undefined;
  }
  if (way === "regex" && !isPattern(text)) {
    fields.refuse(way, `"${text}" is no regular expression of RE2`);
    return undefined;
  }
  return { way, text };
};

/** As a policy says it; a lone `*` as pattern is what Istio documents for "present". */
export const stringMatchOf = (comparison: Comparison): StringMatch => {
  if (comparison.way === "present" || isAnything(comparison)) return { present: true };
  const { way, text } = comparison;
  if (way === "exact") return { exact: text };
  return way === "prefix" ? { prefix: text } : { regex: text };
};

/** Reads a comparison of a text that is always there. */
export const readStringMatch = (fields: StringMatchFields | undefined): StringMatch | undefined => {
  const comparison = fields === undefined ? undefined : readComparison(fields);
  return comparison === undefined ? undefined : stringMatchOf(comparison);
};

const isAnything = (comparison: Comparison): boolean => comparison.way === "regex" && comparison.text === "*";

/** Whether RE2 reads it; `*` alone is Istio's way of saying "present". */
const isPattern = (text: string): boolean => text === "*" || isRe2(text);

/** Whether a text is a regular expression of RE2. */
export const isRe2 = (text: string): boolean => {
  try {
    RE2JS.compile(text);
    return true;
  } catch {
    return false;
  }
};
