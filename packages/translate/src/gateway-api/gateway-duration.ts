import { type Duration, durationLimits, MAX_DURATION_MS, parseDuration } from "@tulle/policy";
import type { Fields } from "../fields.ts";
import { readGoDuration } from "../go-duration.ts";

/** Reads a duration of the Gateway API (GEP-2257): whole numbers, up to five digits each, up to four parts. */
export const gatewayDuration = <F extends string>(fields: Fields<F>, name: F): Duration | undefined => {
  const written = fields.raw(name);
  if (written === undefined) return undefined;
  if (typeof written === "string" && /^(?:\d{1,5}(?:h|ms|m|s)){1,4}$/.test(written)) {
    // Only one that is longer than a policy can say cannot be read.
    return readGoDuration(written) ?? `${MAX_DURATION_MS}ms`;
  }
  fields.refuse(name, `${JSON.stringify(written)} is no duration of the Gateway API, such as "500ms" or "1m30s"`);
  return undefined;
};

/** Reads a duration that a policy holds within bounds; one beyond them is the nearest, which is told. */
export const boundedDuration = <F extends string>(
  fields: Fields<F>,
  name: F,
  limit: keyof typeof durationLimits,
): Duration | undefined => {
  const duration = gatewayDuration(fields, name);
  if (duration === undefined) return undefined;
  const { min, max } = durationLimits[limit];
  const ms = parseDuration(duration);
  const nearest = ms < parseDuration(min) ? min : ms > parseDuration(max) ? max : duration;
  if (nearest !== duration)
    fields.warn(name, `${String(fields.raw(name))} is not within ${min} to ${max}: ${nearest} is taken`);
  return nearest;
};
