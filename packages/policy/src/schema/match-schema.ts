import { z } from "zod";
import { numberLimits, wrongMethod, wrongReference } from "../field-limits.ts";
import { wrongTemplate } from "../path-template.ts";
import {
  pathComparisons,
  type RouteMatch,
  type SourceMatch,
  stringComparisons,
  wrongComparisons,
  wrongMatchedPath,
} from "../route-match.ts";
import type { PathMatch, StringMatch } from "../string-match.ts";
import { exactly } from "./exactly.ts";
import { anyText, labels, number, optional, record, text, texts } from "./fields.ts";

/** `ways` of comparing, of which exactly one must be set; told in one sentence, where a union would tell a chapter. */
const exactlyOne = <S extends z.ZodType<object>>(schema: S, ways: readonly string[], description: string): S =>
  schema
    .refine((match) => setOf(match, ways).length === 1, {
      // Only objects reach the refinement.
      error: (issue) => wrongComparisons(setOf(issue.input as object, ways), ways),
    })
    .meta({ description, oneOf: ways.map((way) => ({ required: [way] })) });

const setOf = (match: object, ways: readonly string[]): readonly string[] => ways.filter((way) => way in match);

const regex = optional(anyText("RE2 syntax, matched in full."));

const invert = optional(z.boolean().meta({ description: "Turns the answer round. Default false." }));

const stringMatch = (description: string): z.ZodType<StringMatch> =>
  exactlyOne(
    z.strictObject({
      exact: optional(z.string()),
      prefix: optional(z.string()),
      suffix: optional(z.string()),
      regex,
      present: optional(z.boolean().meta({ description: "false: absent." })),
      invert,
    }),
    stringComparisons,
    description,
    // That exactly one way is set is what makes the union of it.
  ) as z.ZodType as z.ZodType<StringMatch>;

/** How a text is compared. */
export const stringMatchSchema: z.ZodType<StringMatch> = stringMatch("How a text is compared; exactly one way.");

const pathMatchSchema = exactlyOne(
  z.strictObject({
    exact: optional(text(wrongMatchedPath, "The whole path.")),
    prefix: optional(text(wrongMatchedPath, "/a matches /a and /a/b, not /ab.")),
    startsWith: optional(text(wrongMatchedPath, "/a matches /a, /a/b and /ab.")),
    regex,
    template: optional(text(wrongTemplate, "/reviews/{id}: one segment; /files/{path=**}: the rest.")),
    invert,
  }),
  pathComparisons,
  "How the path is compared, without its query; exactly one way.",
  // As above.
) as z.ZodType as z.ZodType<PathMatch>;

const sourceMatchSchema: z.ZodType<SourceMatch> = exactly<SourceMatch>()(
  z
    .strictObject({
      service: optional(text(wrongReference, "The calling service, such as productpage or productpage.ns.")),
      namespace: optional(anyText("Its namespace.")),
      labels: optional(labels("Labels that the calling instance carries, all of them.")),
      identity: optional(stringMatch("Its SPIFFE ID without the scheme: cluster.local/ns/default/sa/productpage.")),
      invert,
    })
    .meta({ description: "Who calls; all fields must match." }),
);

/** Which calls a rule is for. */
export const matchSchema: z.ZodType<RouteMatch> = exactly<RouteMatch>()(
  z
    .strictObject({
      path: optional(pathMatchSchema),
      ignoreCase: optional(
        z.boolean().meta({ description: "Compare the path without case; a regex says (?i). Default false." }),
      ),
      methods: optional(texts(wrongMethod, "Upper case, any of them.")),
      method: optional(stringMatch("The method by another comparison than a list.")),
      scheme: optional(stringMatch("http or https, as the caller wrote it.")),
      authority: optional(stringMatch("The host that the caller wrote, without case; the port counts if it is named.")),
      port: optional(number(numberLimits.port, "The service port that was called.")),
      headers: optional(record(stringMatchSchema, "By name, compared without case; all must match.")),
      query: optional(record(stringMatchSchema, "By parameter, decoded; the first value counts; all must match.")),
      source: optional(sourceMatchSchema),
      fraction: optional(number(numberLimits.percent, "Share of the calls that fit otherwise, percent. Default 100.")),
    })
    .meta({ description: "Which calls a rule is for; all fields must match." }),
);
