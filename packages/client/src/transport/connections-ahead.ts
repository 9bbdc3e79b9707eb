/** Connections that one call opens ahead at most: 3 (Envoy), so that an endpoint that comes back is not overrun. */
export const MOST_AHEAD = 3;

/**
 * How many connections are to be opened ahead (Envoy's preconnect).
 *
 * @param calls under way or waiting.
 * @param connections open or being made.
 * @param ratio connections wanted per call.
 */
export const connectionsAhead = (calls: number, connections: number, ratio: number): number =>
  // Ten times 1.1 is a little more than eleven.
  Math.max(0, Math.min(MOST_AHEAD, Math.ceil(calls * ratio - 1e-9) - connections));
