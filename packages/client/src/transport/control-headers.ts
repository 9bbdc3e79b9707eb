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

/**
 * With this header in its answer an endpoint says that it is degraded (Envoy): in a health check until the next one, whatever
 * the value; in a reply of a verified peer for as many seconds as the value says. Another's is the application's.
 */
export const DEGRADED_HEADER = "x-envoy-degraded";

/** Those that are the mesh's own where a verified peer wrote them, and the application's where another did. */
const namesOfPeers = new Set([LOAD_REPORT_HEADER, DEGRADED_HEADER]);

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
  /** That a verified peer is degraded, and for how long, as it was written. */
  readonly degraded: string | undefined;
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
  const degraded = verified ? headers[DEGRADED_HEADER] : undefined;
  const said = refused ?? drains ?? retried ?? load ?? degraded;
  if (said === undefined) return undefined;
  for (const name of names) delete headers[name];
  if (verified) for (const name of namesOfPeers) delete headers[name];
  return {
    refused: refused === UNPROCESSED,
    drains: drains !== undefined,
    retried: retried !== undefined,
    load: typeof load === "string" ? load : undefined,
    degraded: typeof degraded === "string" ? degraded : undefined,
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
    if (names.has(lower) || (verified && namesOfPeers.has(lower))) continue;
    kept.push(name, value);
  }
  return kept;
};
