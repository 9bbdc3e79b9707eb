/** A verified peer's gate refused the request before any handler saw it; value {@link UNPROCESSED}. */
export const REFUSED_HEADER = "tulle-refused";

/** The refused request may be repeated elsewhere, whatever its method. */
export const UNPROCESSED = "unprocessed";

/** A verified peer drains: it wants no more calls. */
export const DRAIN_HEADER = "tulle-drain";

/** A verified peer failed although a hop further on was retried: another attempt would only add to the load there. */
export const RETRIED_HEADER = "tulle-retried";

/**
 * With the number of an attempt above 1: no earlier attempt can have reached a handler, so the visit is no retry to it. Value "1".
 */
export const FIRST_SENT_HEADER = "tulle-first-sent";

const names = new Set([REFUSED_HEADER, DRAIN_HEADER, RETRIED_HEADER]);

/** What a reply's control headers say. */
export interface ControlWords {
  /** The request was refused before any handler saw it. */
  readonly refused: boolean;
  readonly drains: boolean;
  /** A hop further on was retried in vain. */
  readonly retried: boolean;
}

/** Takes the control headers off parsed headers, and tells what they said; `undefined` when there were none, as mostly. */
export const takeControlHeaders = (
  headers: Record<string, string | string[] | undefined>,
): ControlWords | undefined => {
  const refused = headers[REFUSED_HEADER];
  const drains = headers[DRAIN_HEADER];
  const retried = headers[RETRIED_HEADER];
  if (refused === undefined && drains === undefined && retried === undefined) return undefined;
  for (const name of names) delete headers[name];
  return { refused: refused === UNPROCESSED, drains: drains !== undefined, retried: retried !== undefined };
};

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
