/** The units of a duration, largest first, with their length in milliseconds. */
const unitMs = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

type Unit = keyof typeof unitMs;

/**
 * A length of time as people write it in policies: a number and a unit, or several of them from the largest
 * to the smallest unit: `"250ms"`, `"15s"`, `"1m30s"`, `"0s"`. Inside the code durations are numbers named `...Ms`.
 */
export type Duration = `${number}${Unit}` | `${number}${Unit}${number}${Unit}`;

/** The longest duration that a timer of Node.js can wait for: 2^31 - 1 ms, about 24.8 days. */
export const MAX_DURATION_MS = 2_147_483_647;

const part = /(\d+(?:\.\d+)?)(ms|h|m|s)/y;
const order: readonly Unit[] = ["h", "m", "s", "ms"];
/** The same, to look up texts of which nobody knows yet whether they are units. */
const unitNames: readonly string[] = order;

/**
 * Reads a duration. Strict: no spaces, no sign, no missing unit, units from large to small, each at most once.
 *
 * @returns the length in milliseconds, from 0 to {@link MAX_DURATION_MS}, or `undefined` when the text is no duration.
 */
export const tryParseDuration = (text: string): number | undefined => {
  let at = 0;
  let totalMs = 0;
  let lastUnit = -1;
  while (at < text.length) {
    part.lastIndex = at;
    const found = part.exec(text);
    if (found === null) return undefined;
    const [whole, count = "", unit = ""] = found;
    const rank = unitNames.indexOf(unit);
    if (rank <= lastUnit) return undefined;
    lastUnit = rank;
    totalMs += Number(count) * unitMs[order[rank] ?? "ms"];
    at += whole.length;
  }
  return at > 0 && totalMs <= MAX_DURATION_MS ? totalMs : undefined;
};

/**
 * Reads a duration that was validated before.
 *
 * @throws RangeError when the text is no duration; the message says what one looks like.
 */
export const parseDuration = (text: string): number => {
  const ms = tryParseDuration(text);
  if (ms === undefined) {
    throw new RangeError(
      `"${text}" is not a duration: write a number and a unit (ms, s, m, h), such as "250ms" or "1m30s"`,
    );
  }
  return ms;
};

/** A validated duration in milliseconds, or a default where none was written. */
export const durationOr = (text: Duration | undefined, defaultMs: number): number =>
  text === undefined ? defaultMs : parseDuration(text);

/** Prints milliseconds as the shortest duration that reads back as the same number. */
export const formatDuration = (ms: number): Duration => {
  const unit = order.find((each) => ms >= unitMs[each] && ms % unitMs[each] === 0) ?? "ms";
  return `${ms / unitMs[unit]}${unit}`;
};
