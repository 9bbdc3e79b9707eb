import { type Duration, tryParseDuration } from "@tulle/policy";

/** What reads a duration and tells what is wrong with it. */
interface DurationFields<F extends string> {
  duration(name: F): Duration | undefined;
  raw(name: F): unknown;
  refuse(name: F, reason: string): void;
}

const unitsBelow = /\d(?:us|µs|ns)|\d*\.\d{4,}s|\d*\.\d+ms/;

/** Reads a duration that Istio wants in whole milliseconds, and at least one of them. */
export const wholeDuration = <F extends string>(fields: DurationFields<F>, name: F): Duration | undefined => {
  const written = fields.raw(name);
  const duration = fields.duration(name);
  if (duration === undefined) return undefined;
  const isExact = typeof written !== "string" || !(unitsBelow.test(written) || /e-/i.test(written));
  if (isExact && (tryParseDuration(duration) ?? 0) >= 1) return duration;
  fields.refuse(name, `"${String(written)}" is no duration of whole milliseconds, at least one`);
  return undefined;
};
