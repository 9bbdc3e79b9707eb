import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ZoneRouting, zoneShares } from "./zone-shares.ts";

const zones = (...healthy: readonly number[]) =>
  healthy.map((each, place) => ({ zone: `eu/${"abc"[place]}`, healthy: each }));
const from = (changes: Partial<ZoneRouting> = {}): ZoneRouting => ({
  own: "eu/a",
  callers: undefined,
  minimumClusterSize: 6,
  forceLocalZoneMinimum: undefined,
  ...changes,
});
const callers = (...counts: readonly number[]): ReadonlyMap<string, number> =>
  new Map(counts.map((each, place) => [`eu/${"abc"[place]}`, each]));

describe("zone-aware routing", () => {
  test("a zone with as large a share of the endpoints as of the callers takes all of their calls", () => {
    expect(zoneShares(zones(2, 2, 2), from())).toEqual({ percents: [100, 0, 0] });
    expect(zoneShares(zones(4, 2, 2), from({ callers: callers(1, 1, 1) }))).toEqual({ percents: [100, 0, 0] });
  });

  test("a zone with a smaller share hands on what it cannot take, to zones in proportion to what they have to spare", () => {
    // A tenth of the endpoints, half of the callers: a fifth stays; b has 40 percent to spare and c 0.
    const found = zoneShares(zones(1, 6, 3), from({ callers: callers(50, 20, 30) }));
    expect("percents" in found && found.percents.map((each) => Math.round(each))).toEqual([20, 80, 0]);
  });

  test.each([
    ["nobody is left in eu/a", zones(0, 4, 4)],
    ["all are in one zone", zones(8, 0)],
    ["5 endpoints are fewer than 6", zones(2, 2, 1)],
  ])("zones do not matter when %s", (why, found) => {
    expect(zoneShares(found, from())).toEqual({ why });
  });

  test("enough endpoints in the zone take all of its calls, where the policy says so", () => {
    const uneven = from({ callers: callers(90, 5, 5) });
    expect(zoneShares(zones(2, 2, 2), uneven)).not.toEqual({ percents: [100, 0, 0] });
    expect(zoneShares(zones(2, 2, 2), { ...uneven, forceLocalZoneMinimum: 2 })).toEqual({ percents: [100, 0, 0] });
    expect(zoneShares(zones(2, 2, 2), { ...uneven, forceLocalZoneMinimum: 3 })).not.toEqual({ percents: [100, 0, 0] });
  });

  test("callers of which none is known in the own zone are taken to be spread evenly", () => {
    expect(zoneShares(zones(2, 3, 3), from({ callers: callers(0, 9, 1) }))).toEqual(
      zoneShares(zones(2, 3, 3), from({ callers: undefined })),
    );
  });

  test("when every zone's callers do so, all endpoints get the same", () => {
    const counts = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(counts, counts, (endpoints, calling) => {
        const found = zones(...endpoints);
        const load = [0, 0, 0];
        for (const [place, { zone }] of found.entries()) {
          const shares = zoneShares(found, from({ own: zone, callers: callers(...calling), minimumClusterSize: 1 }));
          if (!("percents" in shares)) throw new Error(shares.why);
          for (const [to, percent] of shares.percents.entries()) load[to]! += calling[place]! * percent;
        }
        const perEndpoint = load.map((each, place) => each / endpoints[place]!);
        expect(Math.max(...perEndpoint)).toBeCloseTo(Math.min(...perEndpoint), 6);
      }),
    );
  });
});
