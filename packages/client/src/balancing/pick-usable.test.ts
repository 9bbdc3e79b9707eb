import { seededRandom } from "@tulle/testing";
import { balancedSet } from "@tulle/testing/balancing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isPanic, pickUsable } from "./pick-usable.ts";
import { createPicker } from "./picker.ts";

const balancers = {
  "peak-ewma": { algorithm: "peak-ewma", decayMs: 10_000, defaultRttMs: 30 },
  "round-robin": { algorithm: "round-robin" },
  random: { algorithm: "random" },
  "least-request": {
    algorithm: "least-request",
    choiceCount: 2,
    selection: "n-choices",
    activeRequestBias: 1,
  },
  "ring-hash": {
    algorithm: "ring-hash",
    minimumRingSize: 1_024,
    maximumRingSize: 8_388_608,
    balanceFactor: undefined,
  },
  maglev: { algorithm: "maglev", tableSize: 251, balanceFactor: undefined },
} as const;

/** Endpoints of which those at the given places are ejected, or cannot be reached. */
const endpoints = (count: number, ejected: readonly number[], unreachable: readonly number[] = []) => {
  const set = balancedSet(count);
  for (const place of ejected) if (place < count) set[place]!.figures.outlier.ejectedUntilMs = 1_000;
  for (const place of unreachable) {
    if (place >= count) continue;
    set[place]!.figures.reach.failures = 1;
    set[place]!.figures.reach.avoidedUntilMs = 1_000;
  }
  return set;
};
/** As {@link endpoints}, with what health checks said of others. */
const checked = (count: number, said: readonly ("well" | "degraded" | "unhealthy" | "pending")[]) => {
  const set = balancedSet(count);
  for (const [place, what] of said.entries()) {
    if (place >= count) continue;
    const { health } = set[place]!.figures;
    health.state = what === "unhealthy" || what === "pending" ? what : "healthy";
    health.degraded = what === "degraded";
  }
  return set;
};
const said = fc.array(fc.constantFrom("well", "degraded", "unhealthy", "pending"), { minLength: 8, maxLength: 8 });

const places = fc.array(fc.nat(7), { maxLength: 8 });

describe.each(Object.entries(balancers))("among endpoints in trouble, %s", (_, balancer) => {
  test("picks no ejected and no unreachable one while another is left", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 8 }), places, places, (seed, count, ejected, unreachable) => {
        const set = endpoints(count, ejected, unreachable);
        const picked = pickUsable(
          createPicker(balancer, { random: seededRandom(seed) }),
          set,
          undefined,
          500,
          0,
          seededRandom(2),
        );
        const good = set.filter((_each, place) => !ejected.includes(place) && !unreachable.includes(place));
        if (good.length > 0) expect(good).toContain(picked);
        else expect(picked).toBeDefined();
      }),
    );
  });

  test("picks no unhealthy and no unchecked one while another is left, and well ones while they are enough", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 8 }), said, (seed, count, states) => {
        const set = checked(count, states);
        const random = seededRandom(seed);
        const picked = pickUsable(createPicker(balancer, { random }), set, undefined, 500, 0, random);
        const those = (...wanted: string[]) => set.filter((_each, place) => wanted.includes(states[place] ?? ""));
        const well = those("well");
        const callable = those("well", "degraded");
        if (well.length * 1.4 >= count) expect(well).toContain(picked);
        else if (callable.length > 0) expect(callable).toContain(picked);
        else expect(picked).toBeDefined();
      }),
    );
  });

  test("takes a tried one only when all are tried or in trouble", () => {
    const picker = createPicker(balancer, { random: seededRandom(1) });
    const set = endpoints(3, [0]);
    for (let pick = 0; pick < 20; pick++) {
      expect(pickUsable(picker, set, new Set(["b"]), 500, 0, seededRandom(2))?.endpoint.id).toBe("c");
    }
  });
});

describe("panic", () => {
  test.each([
    [10, 5, 50, false],
    [10, 6, 50, true],
    [2, 1, 50, false],
    [3, 2, 50, true],
    [10, 10, 0, false],
    [0, 0, 50, false],
  ])("of %i reachable endpoints, %i ejected, threshold %i %%: %s", (reachable, ejected, threshold, panics) => {
    expect(isPanic(reachable, ejected, threshold)).toBe(panics);
  });

  test("takes from nobody its turn", () => {
    const picker = createPicker(balancers["round-robin"], { random: seededRandom(3) });
    const set = endpoints(4, [0, 1, 2, 3]);
    const picks = Array.from(
      { length: 4 },
      () => pickUsable(picker, set, undefined, 500, 50, seededRandom(2))?.endpoint.id,
    );
    expect(picks.toSorted()).toEqual(["a", "b", "c", "d"]);
  });

  test("spreads the calls over ejected endpoints too, but not over unreachable ones", () => {
    const picker = createPicker(balancers.random, { random: seededRandom(3) });
    const set = endpoints(5, [0, 1, 2], [4]);
    const picks = new Set(
      Array.from({ length: 200 }, () => pickUsable(picker, set, undefined, 500, 50, seededRandom(2))?.endpoint.id),
    );
    expect(picks).toEqual(new Set(["a", "b", "c", "d"]));
  });
});

test("one that was stale for too long is picked when nobody else is left, and not before", () => {
  const set = balancedSet(2);
  set[0]!.figures.expiresAtMs = 500;
  const pick = () =>
    pickUsable(
      createPicker(balancers["round-robin"], { random: seededRandom(1) }),
      set,
      undefined,
      500,
      0,
      seededRandom(2),
    );
  expect([pick(), pick()].map((picked) => picked?.endpoint.id)).toEqual(["b", "b"]);
  set[1]!.figures.expiresAtMs = 500;
  expect(pick()).toBeDefined();
});

test("panic counts unhealthy endpoints, and those that were never checked", () => {
  const set = checked(5, ["unhealthy", "pending", "unhealthy", "well", "well"]);
  const picker = createPicker(balancers.random, { random: seededRandom(3) });
  const pickedWith = (panicPercent: number) =>
    new Set(
      Array.from(
        { length: 200 },
        () => pickUsable(picker, set, undefined, 500, panicPercent, seededRandom(2))?.endpoint.id,
      ),
    );
  expect(pickedWith(50)).toEqual(new Set(["a", "b", "c", "d", "e"]));
  expect(pickedWith(40)).toEqual(new Set(["d", "e"]));
});

describe("degraded endpoints", () => {
  const share = (well: number, degraded: number, unhealthy = 0) => {
    const states = [
      ...Array.from({ length: well }, () => "well" as const),
      ...Array.from({ length: degraded }, () => "degraded" as const),
      ...Array.from({ length: unhealthy }, () => "unhealthy" as const),
    ];
    const set = checked(states.length, states);
    const random = seededRandom(11);
    const picker = createPicker(balancers.random, { random });
    const calls = 20_000;
    let found = 0;
    for (let call = 0; call < calls; call++) {
      const picked = pickUsable(picker, set, undefined, 500, 0, random);
      if (picked?.figures.health.degraded === true) found++;
    }
    return found / calls;
  };

  test("get nothing while the healthy ones, with 40 % more each, are enough", () => {
    expect(share(8, 2)).toBe(0);
    expect(share(8, 3)).toBe(0);
  });

  test.each([
    // 1.4 * 6 / 10 = 84 % stay with the healthy ones.
    [6, 4, 0, 0.16],
    [5, 5, 0, 0.3],
    // 28 % and 28 % are all that can be borne, and share the whole.
    [2, 2, 6, 0.5],
    [0, 3, 2, 1],
  ])(
    "beside %i healthy ones, %i degraded ones and %i unhealthy ones: %d of the calls go to the degraded",
    (well, degraded, unhealthy, expected) => {
      expect(share(well, degraded, unhealthy)).toBeCloseTo(expected, 1);
    },
  );

  test("take a call that has tried all healthy ones", () => {
    const set = checked(3, ["well", "well", "degraded"]);
    const picker = createPicker(balancers["round-robin"], { random: seededRandom(1) });
    expect(pickUsable(picker, set, new Set(["a", "b"]), 500, 0, seededRandom(2))?.endpoint.id).toBe("c");
  });
});
