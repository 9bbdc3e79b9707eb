import { type Balanced, newFigures, type Picker } from "@tulle/client/balancing";
import type { Endpoint } from "@tulle/policy";

/** An endpoint with fresh figures. */
export const balanced = (id: string, changes: Partial<Endpoint> = {}): Balanced => ({
  endpoint: {
    id,
    address: `${id}.test`,
    port: 80,
    transport: "plaintext",
    labels: {},
    health: "healthy",
    serviceAccount: "test",
    ...changes,
  },
  figures: newFigures(0),
});

/** `count` endpoints named `a`, `b`, ...; at most 26. */
export const balancedSet = (count: number): Balanced[] =>
  Array.from({ length: count }, (_, place) => balanced(String.fromCharCode(97 + place)));

/**
 * Sends calls one after the other on a clock of its own; each takes what `rttOf` says.
 *
 * @returns how many calls each endpoint got, by id.
 */
export const sendInTurn = (
  picker: Picker,
  candidates: readonly Balanced[],
  calls: number,
  rttOf: (id: string) => number = () => 10,
): Map<string, number> => {
  const counts = new Map(candidates.map(({ endpoint }) => [endpoint.id, 0]));
  let nowMs = 0;
  for (let call = 0; call < calls; call++) {
    const candidate = picker.pick(candidates, undefined, nowMs);
    if (candidate === undefined) throw new Error("nothing was picked");
    const { id } = candidate.endpoint;
    counts.set(id, (counts.get(id) ?? 0) + 1);
    picker.start(candidate, nowMs);
    nowMs += rttOf(id);
    picker.end(candidate, nowMs, { rttMs: rttOf(id), failed: false });
  }
  return counts;
};
