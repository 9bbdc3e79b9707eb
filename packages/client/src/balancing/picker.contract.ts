import type { Endpoint } from "@tulle/policy";
import { seededRandom } from "@tulle/testing";
import type { Random } from "@tulle/time";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newFigures } from "../endpoints/endpoint-figures.ts";
import type { Balanced, Picker } from "./picker.ts";

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

/** `count` endpoints named `a`, `b`, ... */
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

/** What holds for every picker. */
export const pickerContract = (name: string, create: (random: Random) => Picker): void => {
  describe(`${name} as a picker`, () => {
    test("answers nothing for no candidates", () => {
      expect(create(seededRandom(1)).pick([], undefined, 0)).toBeUndefined();
    });

    test("always picks one of the candidates", () => {
      fc.assert(
        fc.property(fc.integer(), fc.integer({ min: 1, max: 8 }), fc.nat(100_000), (seed, count, nowMs) => {
          const candidates = balancedSet(count);
          expect(candidates).toContain(create(seededRandom(seed)).pick(candidates, undefined, nowMs));
        }),
      );
    });

    test("avoids tried endpoints while another one is left, and takes a tried one rather than none", () => {
      fc.assert(
        fc.property(
          fc.integer(),
          fc.integer({ min: 1, max: 5 }),
          fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 5 }),
          (seed, count, places) => {
            const candidates = balancedSet(count);
            const tried = new Set(places.map((place) => String.fromCharCode(97 + place)));
            const picked = create(seededRandom(seed)).pick(candidates, tried, 0);
            const allTried = candidates.every(({ endpoint }) => tried.has(endpoint.id));
            expect(picked).toBeDefined();
            expect(tried.has(picked!.endpoint.id)).toBe(allTried);
          },
        ),
      );
    });

    test.each([2, 3, 4, 5])("shares the calls of a quiet client evenly among %i equal endpoints", (count) => {
      const counts = [...sendInTurn(create(seededRandom(7)), balancedSet(count), 3_000).values()];
      for (const each of counts) expect(each / 3_000).toBeGreaterThan(0.7 / count);
    });

    test("counts what is in flight, what ended and what failed", () => {
      const picker = create(seededRandom(1));
      const [one] = balancedSet(1);
      picker.start(one!, 0);
      picker.start(one!, 0);
      picker.end(one!, 5, { rttMs: 5, failed: true });
      expect(picker.explain([one!], 5)).toMatchObject([
        { endpoint: "a", inFlight: 1, answered: 1, failed: 1, rttMs: expect.any(Number) },
      ]);
    });

    test("says that an endpoint which answered nothing has no latency", () => {
      expect(create(seededRandom(1)).explain(balancedSet(1), 0)).toMatchObject([{ rttMs: undefined, inFlight: 0 }]);
    });
  });
};
