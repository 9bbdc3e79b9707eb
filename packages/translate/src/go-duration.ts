import { type Duration, MAX_DURATION_MS, tryParseDuration } from "@tulle/policy";

const unitMs: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  ns: 0.000_001,
};

const part = /(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)/y;

/**
 * Reads a duration as Go writes it. A unit may come in any order and more than once, as Go has it.
 *
 * @returns a duration of a policy; `undefined` for what is none, is negative, or longer than a policy can say. What is
 *   shorter than a millisecond, but not nothing, is a millisecond: to round it to nothing would turn a limit off.
 */
export const readGoDuration = (text: string): Duration | undefined => {
  if (text === "0") return "0s";
  let at = 0;
  let totalMs = 0;
  while (at < text.length) {
    part.lastIndex = at;
    const found = part.exec(text);
    if (found === null) return undefined;
    const [whole, count = "", unit = ""] = found;
    totalMs += Number(count) * (unitMs[unit] ?? Number.NaN);
    at += whole.length;
  }
  if (at === 0 || !(totalMs <= MAX_DURATION_MS)) return undefined;
  // Most are written as policies write them, and stay as their author knows them.
  if (tryParseDuration(text) === totalMs) return text as Duration; // just parsed as one
  return totalMs === 0 ? "0ms" : `${Math.max(1, Math.round(totalMs))}ms`;
};
