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

/** Asks a member to tell how busy it is, and in which format; value {@link LOAD_REPORT_FORMAT}. */
export const LOAD_REPORT_FORMAT_HEADER = "endpoint-load-metrics-format";

/** ORCA's text format: `TEXT name=value,name=value`. */
export const LOAD_REPORT_FORMAT = "TEXT";

/** How busy a member is (ORCA). Another than a verified peer says it to the application, not to us. */
export const LOAD_REPORT_HEADER = "endpoint-load-metrics";

const names = new Set([REFUSED_HEADER, DRAIN_HEADER, RETRIED_HEADER]);

/** What a reply's control headers say. */
export interface ControlWords {
  /** The request was refused before any handler saw it. */
  readonly refused: boolean;
  readonly drains: boolean;
  /** A hop further on was retried in vain. */
  readonly retried: boolean;
  /** How busy a verified peer is, as it was written. */
  readonly load: string | undefined;
}

/**
 * Takes the control headers off parsed headers, and tells what they said; `undefined` when there were none, as mostly.
 *
 * @param verified whether the peer proved to be of the mesh.
 */
export const takeControlHeaders = (
  headers: Record<string, string | string[] | undefined>,
  verified: boolean,
): ControlWords | undefined => {
  const refused = headers[REFUSED_HEADER];
  const drains = headers[DRAIN_HEADER];
  const retried = headers[RETRIED_HEADER];
  const load = verified ? headers[LOAD_REPORT_HEADER] : undefined;
  if (refused === undefined && drains === undefined && retried === undefined && load === undefined) return undefined;
  for (const name of names) delete headers[name];
  if (load !== undefined) delete headers[LOAD_REPORT_HEADER];
  return {
    refused: refused === UNPROCESSED,
    drains: drains !== undefined,
    retried: retried !== undefined,
    load: typeof load === "string" ? load : undefined,
  };
};

/** The raw list of headers without those that the mesh says to itself. */
export const withoutControlHeaders = (raw: readonly (string | Buffer)[], verified: boolean): (string | Buffer)[] => {
  const kept: (string | Buffer)[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at];
    const value = raw[at + 1];
    if (name === undefined || value === undefined) continue;
    const lower = name.toString("latin1").toLowerCase();
    if (names.has(lower) || (verified && lower === LOAD_REPORT_HEADER)) continue;
    kept.push(name, value);
  }
  return kept;
};
