import { seededRandom } from "@tulle/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PeakEwmaLoad } from "./peak-ewma.ts";
import { balanced, balancedSet, sendInTurn } from "./picker.contract.ts";
import { PowerOfTwo } from "./power-of-two.ts";

const create = (seed: number) =>
  new PowerOfTwo(new PeakEwmaLoad({ decayMs: 10_000, defaultRttMs: 30 }), seededRandom(seed));

describe("power of two choices", () => {
  test("never picks the most loaded of the endpoints when loads differ", () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { minLength: 2, maxLength: 5 }),
        (seed, rtts) => {
          const picker = create(seed);
          const candidates = rtts.map((rttMs, place) => {
            const one = balanced(`e${place}`);
            picker.start(one, 0);
            picker.end(one, 0, { rttMs, failed: false });
            return one;
          });
          const worst = candidates[rtts.indexOf(Math.max(...rtts))];
          for (let pick = 0; pick < 20; pick++) expect(picker.pick(candidates, undefined, 0)).not.toBe(worst);
        },
      ),
    );
  });

  test.each([2, 3, 5])("sends a slow one of %i endpoints a small share, and not nothing", (count) => {
    const counts = sendInTurn(create(11), balancedSet(count), 5_000, (id) => (id === "a" ? 200 : 5));
    const slow = (counts.get("a") ?? 0) / 5_000;
    expect(slow).toBeGreaterThan(0);
    expect(slow).toBeLessThan(0.25 / count);
  });

  test("calls a newcomer at once, though its siblings are fast", () => {
    const picker = create(5);
    const candidates = balancedSet(2);
    sendInTurn(picker, candidates, 100, () => 1);
    const all = [...candidates, balanced("new")];
    const picks = Array.from({ length: 10 }, () => picker.pick(all, undefined, 100)?.endpoint.id);
    expect(picks).toContain("new");
  });

  test("spreads a burst by what is in flight", () => {
    const picker = create(9);
    const candidates = balancedSet(3);
    sendInTurn(picker, candidates, 300);
    for (let call = 0; call < 90; call++) picker.start(picker.pick(candidates, undefined, 3_000)!, 3_000);
    for (const { figures } of candidates) {
      expect(figures.inFlight).toBeGreaterThan(20);
      expect(figures.inFlight).toBeLessThan(40);
    }
  });

  test("keeps away from an endpoint that fails at once", () => {
    const picker = create(2);
    const candidates = balancedSet(2);
    sendInTurn(picker, candidates, 50);
    const [bad] = candidates;
    picker.start(bad!, 500);
    picker.end(bad!, 500, { rttMs: 1, failed: true });
    const picks = Array.from({ length: 100 }, () => picker.pick(candidates, undefined, 1_000)?.endpoint.id);
    expect(new Set(picks)).toEqual(new Set(["b"]));
  });
});
