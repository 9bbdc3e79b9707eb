import { type Duration, type DurationLimit, type NumberLimit, tryParseDuration } from "@tulle/policy";
import { wholeDuration } from "./whole-duration.ts";

/** What reads figures and tells what is wrong with them. */
interface BoundedFields<F extends string> {
  integer(name: F): number | undefined;
  duration(name: F): Duration | undefined;
  raw(name: F): unknown;
  refuse(name: F, reason: string): void;
  warn(name: F, reason: string): void;
}

/** Reads a duration of whole milliseconds. One beyond what a policy can say becomes the nearest that it can, and is told. */
export const boundedDuration = <F extends string>(
  fields: BoundedFields<F>,
  name: F,
  { min, max }: DurationLimit,
): Duration | undefined => {
  const duration = wholeDuration(fields, name);
  if (duration === undefined) return undefined;
  const ms = tryParseDuration(duration) ?? 0;
  const nearest = ms < (tryParseDuration(min) ?? 0) ? min : ms > (tryParseDuration(max) ?? 0) ? max : duration;
  if (nearest !== duration) fields.warn(name, `a policy allows ${min} to ${max}: ${nearest} is taken for ${duration}`);
  return nearest;
};

/**
 * Reads a figure of which 0 says nothing, as protobuf's numbers do. One beyond what a policy can say becomes the most that it
 * can, and is told; one below 0 is refused.
 */
export const boundedCount = <F extends string>(
  fields: BoundedFields<F>,
  name: F,
  { min, max }: NumberLimit,
): number | undefined => {
  const count = fields.integer(name);
  if (count === undefined || count === 0) return undefined;
  if (count < 0) {
    fields.refuse(name, `${count} is below 0`);
    return undefined;
  }
  const nearest = Math.min(max, Math.max(min, count));
  if (nearest !== count) fields.warn(name, `a policy allows ${min} to ${max}: ${nearest} is taken for ${count}`);
  return nearest;
};

/** Reads a share in percent, 0 to 100. */
export const wholePercent = <F extends string>(fields: BoundedFields<F>, name: F): number | undefined => {
  const percent = fields.integer(name);
  if (percent === undefined || (percent >= 0 && percent <= 100)) return percent;
  fields.refuse(name, `${percent} is no share in percent: write 0 to 100`);
  return undefined;
};
