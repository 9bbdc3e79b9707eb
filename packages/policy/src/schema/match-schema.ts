import { z } from "zod";
import { wrongComparisons } from "../check-policy.ts";
import { wrongMethod, wrongPath } from "../field-limits.ts";
import type { RouteMatch } from "../route-policy.ts";
import type { PathMatch, StringMatch } from "../string-match.ts";
import { exactly } from "./exactly.ts";
import { anyText, later, NOT_YET, optional, record, text, texts } from "./fields.ts";

/** `ways` of comparing, of which exactly one must be set; told in one sentence, where a union would tell a chapter. */
const exactlyOne = <S extends z.ZodType<object>>(schema: S, ways: readonly string[], description: string): S =>
  schema
    .refine((match) => setOf(match, ways).length === 1, {
      // Only objects reach the refinement.
      error: (issue) => wrongComparisons(setOf(issue.input as object, ways)),
    })
    .meta({ description, oneOf: ways.map((way) => ({ required: [way] })) });

const setOf = (match: object, ways: readonly string[]): readonly string[] => ways.filter((way) => way in match);

const regex = optional(anyText("RE2 syntax, matched in full."));

/** How a text is compared. */
export const stringMatchSchema: z.ZodType<StringMatch> = exactlyOne(
  z.strictObject({
    exact: optional(z.string()),
    prefix: optional(z.string()),
    suffix: optional(z.string()),
    regex,
    present: optional(z.boolean().meta({ description: "false: absent." })),
    invert: optional(z.boolean().meta({ description: "Turns the answer round. Default false." })),
  }),
  ["exact", "prefix", "suffix", "regex", "present"],
  "How a text is compared; exactly one way.",
  // That exactly one way is set is what makes the union of it.
) as z.ZodType as z.ZodType<StringMatch>;

const pathMatchSchema = exactlyOne(
  z.strictObject({
    exact: optional(text(wrongPath, "The whole path.")),
    prefix: optional(text(wrongPath, "/a matches /a and /a/b, not /ab.")),
    regex,
    template: optional(anyText(NOT_YET)),
  }),
  ["exact", "prefix", "regex", "template"],
  "How the path is compared, without its query; exactly one way.",
  // As above.
) as z.ZodType as z.ZodType<PathMatch>;

/** Which calls a rule is for. */
export const matchSchema: z.ZodType<RouteMatch> = exactly<RouteMatch>()(
  z
    .strictObject({
      path: optional(pathMatchSchema),
      methods: optional(texts(wrongMethod, "Upper case, any of them.")),
      headers: optional(record(stringMatchSchema, "By name, compared without case; all must match.")),
      query: optional(record(stringMatchSchema, "By parameter; the first value counts; all must match.")),
      source: later("Who calls."),
      ignoreCase: optional(z.boolean().meta({ description: NOT_YET })),
    })
    .meta({ description: "Which calls a rule is for; all fields must match." }),
);
