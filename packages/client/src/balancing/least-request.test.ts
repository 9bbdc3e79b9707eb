import { seededRandom } from "@tulle/testing";
import { balanced, balancedSet } from "@tulle/testing/balancing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FiguresKeeper } from "./figures-keeper.ts";
import { LeastRequest } from "./least-request.ts";
import { Weights } from "./weights.ts";

const create = (seed: number, bias = 1) =>
  new LeastRequest({
    choices: 2,
    bias,
    weights: new Weights(undefined),
    keeper: new FiguresKeeper(10_000),
    random: seededRandom(seed),
  });

describe("least request", () => {
  test.each([2, 3])("of %i endpoints never picks a busier one", (count) => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.nat(20), { minLength: count, maxLength: count }), (seed, inFlight) => {
        const candidates = balancedSet(count);
        for (const [place, { figures }] of candidates.entries()) figures.inFlight = inFlight[place]!;
        expect(create(seed).pick(candidates, undefined, 0)?.figures.inFlight).toBe(Math.min(...inFlight));
      }),
    );
  });

  test("shares calls that stay open by weight, where weights differ", () => {
    const picker = create(4);
    const candidates = [balanced("a", { weight: 3 }), balanced("b")];
    for (let call = 0; call < 200; call++) picker.start(picker.pick(candidates, undefined, 0)!, 0);
    const [heavy, light] = candidates;
    expect(heavy!.figures.inFlight + light!.figures.inFlight).toBe(200);
    // With a bias of 1 the shares go as the square root of the weights, since turns and queues both weigh.
    expect(heavy!.figures.inFlight / light!.figures.inFlight).toBeGreaterThan(1.4);
    expect(heavy!.figures.inFlight / light!.figures.inFlight).toBeLessThan(3.2);
  });

  test("with no bias takes turns by weight alone", () => {
    const picker = create(4, 0);
    const candidates = [balanced("a", { weight: 3 }), balanced("b")];
    for (let call = 0; call < 400; call++) picker.start(picker.pick(candidates, undefined, 0)!, 0);
    expect(candidates[0]!.figures.inFlight).toBeGreaterThan(297);
    expect(candidates[0]!.figures.inFlight).toBeLessThan(303);
  });

  test("steers away from an endpoint that holds on to its calls", () => {
    const picker = create(6);
    const candidates = [balanced("a", { weight: 2 }), balanced("b", { weight: 1 })];
    candidates[0]!.figures.inFlight = 50;
    const picks = Array.from({ length: 100 }, () => picker.pick(candidates, undefined, 0)?.endpoint.id);
    expect(picks.filter((id) => id === "b").length).toBeGreaterThan(80);
  });
});
