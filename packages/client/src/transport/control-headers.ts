/** A verified peer's gate refused the request before any handler saw it; value {@link UNPROCESSED}. */
export const REFUSED_HEADER = "tulle-refused";

/** The refused request may be repeated elsewhere, whatever its method. */
export const UNPROCESSED = "unprocessed";

/** A verified peer drains: it wants no more calls. */
export const DRAIN_HEADER = "tulle-drain";

/** A verified peer failed although a hop further on was retried: another attempt would only add to the load there. */
export const RETRIED_HEADER = "tulle-retried";

const names = new Set([REFUSED_HEADER, DRAIN_HEADER, RETRIED_HEADER]);

/** The raw list of headers without those that the mesh says to itself. */
export const withoutControlHeaders = (raw: readonly (string | Buffer)[]): (string | Buffer)[] => {
  const kept: (string | Buffer)[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at];
    const value = raw[at + 1];
    if (name === undefined || value === undefined || names.has(name.toString("latin1").toLowerCase())) continue;
    kept.push(name, value);
  }
  return kept;
};
