import type { z } from "zod";
import { nearest } from "../name-index.ts";
import { isSupportedValue } from "../not-supported.ts";
import type { PolicyKind } from "../policy.ts";
import type { PolicyPath } from "../policy-path.ts";
import { fieldsAt } from "./fields-of.ts";
import { policySchemas } from "./kinds.ts";

/** One finding of zod in the words of policies. */
export interface ExplainedIssue {
  readonly path: PolicyPath;
  readonly message: string;
  readonly suggestion?: string;
}

/** Puts zod's findings in the words of policies: one per field, with what was perhaps meant. */
export const explainIssues = (
  kind: PolicyKind,
  value: unknown,
  issues: readonly z.core.$ZodIssue[],
): readonly ExplainedIssue[] => issues.flatMap((issue) => explain({ kind, value }, issue, []));

interface Written {
  readonly kind: PolicyKind;
  readonly value: unknown;
}

const explain = (written: Written, issue: z.core.$ZodIssue, before: PolicyPath): readonly ExplainedIssue[] => {
  const path = [...before, ...stepsOf(issue.path)];
  const found = valueAt(written.value, path);
  const choose = (choices: readonly string[]): readonly ExplainedIssue[] => [
    wrongChoice(
      path,
      choices.filter((choice) => isSupportedValue(written.kind, path, choice)),
      found,
    ),
  ];
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = fieldsAt(policySchemas[written.kind], path);
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `unknown field "${key}"`,
        ...suggest(key, known),
      }));
    }
    case "invalid_type":
      return [{ path, message: wrongType(issue, found) }];
    case "invalid_value":
      return choose(issue.values.map(String));
    case "invalid_union": {
      if (issue.discriminator !== undefined) return choose(optionsOf(issue));
      // The alternative that looked inside the value is the one that was meant.
      const meant = issue.errors.find((errors) =>
        errors.some((error) => error.path.length > 0 || error.code === "unrecognized_keys"),
      );
      if (meant !== undefined) return meant.flatMap((inner) => explain(written, inner, path));
      const expected = issue.errors.flatMap((errors) => errors.map(expectationOf)).toReversed();
      return [{ path, message: `expected ${expected.join(" or ")}, got ${describe(found)}` }];
    }
    default:
      return [{ path, message: issue.message }];
  }
};

const wrongType = (issue: z.core.$ZodIssueInvalidType, found: unknown): string => {
  if (found === undefined) return "is missing";
  // A field that has its own words for what it expects goes before zod's general ones.
  const expected = issue.message.startsWith("Invalid input") ? nounOf(issue.expected) : issue.message;
  return `expected ${expected}, got ${describe(found)}`;
};

const wrongChoice = (path: PolicyPath, choices: readonly string[], found: unknown): ExplainedIssue => {
  if (found === undefined) return { path, message: "is missing" };
  const message = `expected ${choices.map((choice) => `"${choice}"`).join(", ")}; got ${describe(found)}`;
  return { path, message, ...(typeof found === "string" ? suggest(found, choices) : {}) };
};

const optionsOf = (issue: object): readonly string[] =>
  "options" in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];

const expectationOf = (issue: z.core.$ZodIssue): string => {
  if (issue.code === "invalid_type") return nounOf(issue.expected);
  return issue.code === "invalid_value"
    ? issue.values.map((value) => JSON.stringify(value)).join(" or ")
    : "something else";
};

/** What was perhaps meant by a word, for people who write `Timeout` or `timout`. */
export const suggest = (word: string, known: readonly string[]): { readonly suggestion?: string } => {
  const sameButCase = known.filter((each) => each.toLowerCase() === word.toLowerCase());
  const names = sameButCase.length > 0 ? sameButCase : nearest(word, known);
  return names.length === 0 ? {} : { suggestion: names.map((name) => `"${name}"`).join(" or ") };
};

const nouns: Readonly<Record<string, string>> = {
  object: "an object",
  record: "an object",
  array: "a list",
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
};

const nounOf = (expected: string): string => nouns[expected] ?? expected;

const describe = (value: unknown): string => {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
};

/** What a message quotes of a value at most. */
const LONGEST_QUOTE = 60;

const stepsOf = (path: readonly PropertyKey[]): PolicyPath =>
  path.map((step) => (typeof step === "number" ? step : String(step)));

const valueAt = (value: unknown, path: PolicyPath): unknown =>
  path.reduce<unknown>(
    (inside, step) =>
      // A value of unknown shape is read by name; what is not there is undefined.
      typeof inside === "object" && inside !== null ? (inside as Readonly<Record<string, unknown>>)[step] : undefined,
    value,
  );
