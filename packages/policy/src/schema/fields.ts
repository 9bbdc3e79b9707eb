import { z } from "zod";
import type { Duration } from "../duration.ts";
import {
  type DurationLimit,
  EMPTY_LIST,
  LABEL_PATTERN,
  type NumberLimit,
  wrongDuration,
  wrongName,
  wrongNumber,
} from "../field-limits.ts";

type Wrong<T> = (value: T) => string | undefined;

/** An error message that depends on the value, in the words that the checks without zod use as well. */
const saying =
  <T>(wrong: Wrong<T>): z.core.$ZodErrorMap =>
  (issue) =>
    // Only a value of the right type reaches the refinement that this message belongs to.
    wrong(issue.input as T);

/** A text of which `wrong` tells what is wrong with it. */
export const text = (wrong: Wrong<string>, description: string): z.ZodType<string, string> =>
  z
    .string()
    .refine((value) => wrong(value) === undefined, { error: saying(wrong) })
    .meta({ description });

/** Any text. */
export const anyText = (description: string): z.ZodString => z.string().meta({ description });

/** The name of a policy or namespace. */
export const nameText = (description: string): z.ZodType<string, string> =>
  text(wrongName, description).meta({ description, pattern: LABEL_PATTERN, maxLength: 63 });

/** A number within a range. */
export const number = (limit: NumberLimit, description: string): z.ZodType<number, number> =>
  z
    .number()
    .refine((value) => wrongNumber(value, limit) === undefined, {
      error: saying((value: number) => wrongNumber(value, limit)),
    })
    .meta({
      description,
      type: limit.fractions === true ? "number" : "integer",
      minimum: limit.min,
      maximum: limit.max,
    });

/** A duration within a range. */
export const duration = (limit: DurationLimit, description: string): z.ZodType<Duration> =>
  z
    .string({ error: 'a duration such as "250ms" or "1m30s"' })
    .refine((value) => wrongDuration(value, limit) === undefined, {
      error: saying((value: string) => wrongDuration(value, limit)),
    })
    .meta({
      description: `${description} From ${limit.min} to ${limit.max}.`,
      pattern: "^(\\d+(\\.\\d+)?h)?(\\d+(\\.\\d+)?m)?(\\d+(\\.\\d+)?s)?(\\d+(\\.\\d+)?ms)?$",
      minLength: 2,
      // The refinement holds for durations only, which the type of a refined string cannot say.
    }) as z.ZodType as z.ZodType<Duration>;

/** A field that may be left out, but not set to undefined. */
export const optional = <T>(schema: z.ZodType<T>): z.ZodExactOptional<z.ZodType<T>> => z.exactOptional(schema);

/** A list, also an empty one. */
export const anyList = <T>(item: z.ZodType<T>, description: string): z.ZodType<readonly T[]> =>
  z.array(item).readonly().meta({ description });

/** A list that holds something. */
export const list = <T>(item: z.ZodType<T>, description: string): z.ZodType<readonly T[]> =>
  z.array(item).min(1, { error: EMPTY_LIST }).readonly().meta({ description });

/** A list of texts, which holds something. */
export const texts = (wrong: Wrong<string>, description: string): z.ZodType<readonly string[]> =>
  z
    .array(z.string().refine((value) => wrong(value) === undefined, { error: saying(wrong) }))
    .min(1, { error: EMPTY_LIST })
    .readonly()
    .meta({ description });

/** Texts by name. */
export const record = <T>(value: z.ZodType<T>, description: string): z.ZodType<Readonly<Record<string, T>>> =>
  z.record(z.string(), value).readonly().meta({ description });

/** Labels of a workload or a policy. */
export const labels = (description: string): z.ZodType<Readonly<Record<string, string>>> =>
  record(z.string(), description);

/** The end of the description of what has no behaviour yet. */
export const NOT_YET = "Not supported yet.";

type Later = Readonly<Record<string, unknown>>;

/** A field that is typed for later. Nobody looks into it: `checkPolicy` says that it is not supported yet. */
export const later = (description: string): z.ZodExactOptional<z.ZodType<Later>> =>
  optional(record(z.unknown(), `${description} ${NOT_YET}`));

/** As {@link later}, for a list. */
export const laterList = (description: string): z.ZodExactOptional<z.ZodType<readonly Later[]>> =>
  optional(anyList(record(z.unknown(), ""), `${description} ${NOT_YET}`));
