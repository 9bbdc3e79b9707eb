import { type EffectiveOutlierDetection, effectiveOutlierDetection } from "@tulle/policy";
import { seededRandom } from "@tulle/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  beginCall,
  eject,
  isEjected,
  type Judged,
  newOutlierRecord,
  noteOutcome,
  type OutlierOutcome,
  successRateLimit,
  sweep,
} from "./outlier-ejection.ts";

// On where nothing is said.
const byDefault = effectiveOutlierDetection({ kind: "Service", name: "reviews" })!;
const policyWith = (changes: Partial<EffectiveOutlierDetection>): EffectiveOutlierDetection => ({
  ...byDefault,
  ...changes,
});
const random = seededRandom(1);
const endpoints = (count: number): Judged[] =>
  Array.from({ length: count }, (_, place) => ({
    endpoint: { id: `e${place}` },
    figures: { outlier: newOutlierRecord() },
  }));
const ejectAt = (judged: Judged, all: readonly Judged[], nowMs: number, policy = byDefault) =>
  eject(judged, all, policy, "consecutive-5xx", nowMs, random);
const causeAfter = (outcomes: readonly OutlierOutcome[], policy: EffectiveOutlierDetection) => {
  const record = newOutlierRecord();
  return outcomes.map((outcome) => noteOutcome(record, policy, outcome, false)).at(-1);
};
const times = (count: number, outcome: OutlierOutcome): OutlierOutcome[] => Array(count).fill(outcome);

describe("failures in a row", () => {
  test("the fifth answer of 500 and above ejects, the fourth does not", () => {
    expect(causeAfter(times(4, "server-error"), byDefault)).toBeUndefined();
    expect(causeAfter(times(5, "server-error"), byDefault)).toBe("consecutive-5xx");
  });

  test("one success in between starts the count anew", () => {
    expect(
      causeAfter([...times(4, "server-error"), "success", ...times(4, "server-error")], byDefault),
    ).toBeUndefined();
  });

  test("five gateway errors eject as such, and another server error between them does not help", () => {
    expect(causeAfter(times(5, "gateway-error"), byDefault)).toBe("consecutive-gateway-errors");
    expect(causeAfter([...times(4, "gateway-error"), "server-error"], byDefault)).toBe("consecutive-5xx");
  });

  test("failures without an answer count as gateway errors, unless they are split off", () => {
    expect(causeAfter(times(5, "local-origin"), byDefault)).toBe("consecutive-gateway-errors");
    const split = policyWith({ splitLocalOriginErrors: true });
    expect(causeAfter(times(5, "local-origin"), split)).toBe("consecutive-local-origin-failures");
    expect(causeAfter([...times(4, "local-origin"), ...times(4, "gateway-error")], split)).toBeUndefined();
  });

  test("a threshold of 0 turns a kind off", () => {
    const off = policyWith({ consecutive5xx: 0, consecutiveGatewayErrors: 0 });
    expect(causeAfter(times(100, "gateway-error"), off)).toBeUndefined();
  });
});

describe("who may be ejected", () => {
  test("the last endpoint never, and the decision says so", () => {
    const all = endpoints(1);
    expect(ejectAt(all[0]!, all, 0)).toMatchObject({ ejected: false, because: "last-endpoint" });
  });

  test("one of two, but not the other as well", () => {
    const all = endpoints(2);
    expect(ejectAt(all[0]!, all, 0)).toMatchObject({ ejected: true, endpoint: "e0", forMs: 30_000 });
    expect(ejectAt(all[1]!, all, 0)).toMatchObject({ ejected: false, because: "last-endpoint" });
  });

  test("one of five at 10 %, and a second one not", () => {
    const all = endpoints(5);
    expect(ejectAt(all[0]!, all, 0).ejected).toBe(true);
    expect(ejectAt(all[1]!, all, 0)).toMatchObject({ ejected: false, because: "max-ejection-percent" });
  });

  test("never more than the share, or one, and never all", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 100 }), (count, maxEjectionPercent) => {
        const all = endpoints(count);
        const policy = policyWith({ maxEjectionPercent });
        for (const judged of all) ejectAt(judged, all, 0, policy);
        const out = all.filter(({ figures }) => isEjected(figures.outlier, 0)).length;
        const allowed = Math.max(1, Math.floor((count * maxEjectionPercent) / 100));
        expect(out).toBe(count === 1 ? 0 : Math.min(allowed, count - 1));
      }),
    );
  });
});

describe("the time of an ejection", () => {
  test("grows with each one up to the maximum, and shrinks with each quiet interval", () => {
    const all = endpoints(5);
    const [bad] = all;
    const lengths = Array.from({ length: 12 }, () => {
      const decision = ejectAt(bad!, all, 0);
      bad!.figures.outlier.ejectedUntilMs = 0;
      return decision.ejected ? decision.forMs : 0;
    });
    expect(lengths.slice(0, 3)).toEqual([30_000, 60_000, 90_000]);
    expect(lengths.at(-1)).toBe(300_000);
    sweep(all, byDefault, 11, 0, random);
    expect(ejectAt(bad!, all, 0)).toMatchObject({ forMs: 60_000 });
  });

  test("gets up to the jitter on top", () => {
    const policy = policyWith({ maxJitterMs: 10_000 });
    for (let seed = 0; seed < 20; seed++) {
      const all = endpoints(2);
      const decision = eject(all[0]!, all, policy, "consecutive-5xx", 0, seededRandom(seed));
      expect(decision.ejected && decision.forMs).toBeGreaterThanOrEqual(30_000);
      expect(decision.ejected && decision.forMs).toBeLessThan(40_000);
    }
  });
});

describe("the way back", () => {
  const ejected = () => {
    const all = endpoints(3);
    ejectAt(all[0]!, all, 0);
    return { all, record: all[0]!.figures.outlier };
  };

  test("is one live call after the time is over; others stay away while it is out", () => {
    const { record } = ejected();
    expect(isEjected(record, 29_999)).toBe(true);
    expect(isEjected(record, 30_000)).toBe(false);
    expect(beginCall(record, 30_000)).toBe(true);
    expect(isEjected(record, 30_001)).toBe(true);
    expect(beginCall(record, 30_001)).toBe(false);
  });

  test("is open after a probe that succeeds", () => {
    const { record } = ejected();
    const isProbe = beginCall(record, 30_000);
    expect(noteOutcome(record, byDefault, "success", isProbe)).toBeUndefined();
    expect(isEjected(record, 30_001)).toBe(false);
    expect(beginCall(record, 30_001)).toBe(false);
  });

  test("is closed for longer after a probe that fails", () => {
    const { all, record } = ejected();
    const isProbe = beginCall(record, 30_000);
    expect(noteOutcome(record, byDefault, "server-error", isProbe)).toBe("failed-probe");
    expect(eject(all[0]!, all, byDefault, "failed-probe", 30_100, random)).toMatchObject({
      ejected: true,
      forMs: 60_000,
    });
  });

  test("does not depend on calls that began before the ejection", () => {
    const { record } = ejected();
    beginCall(record, 30_000);
    expect(noteOutcome(record, byDefault, "server-error", false)).toBeUndefined();
    expect(noteOutcome(record, byDefault, "success", false)).toBeUndefined();
    expect(record.probing).toBe(true);
  });
});

describe("at the end of an interval", () => {
  const withRates = (rates: readonly number[], requests: number) => {
    const all = endpoints(rates.length);
    for (const [place, { figures }] of all.entries()) {
      figures.outlier.requests = requests;
      figures.outlier.successes = (requests * rates[place]!) / 100;
    }
    return all;
  };

  test("the limit is the mean less 1.9 population standard deviations: Envoy's example gives 52", () => {
    expect(successRateLimit([50, 100, 100, 100, 100], 1.9)).toBeCloseTo(52, 9);
  });

  test("whoever is below it is ejected", () => {
    const all = withRates([50, 100, 100, 100, 100], 100);
    expect(sweep(all, byDefault, 1, 0, random)).toMatchObject([
      { endpoint: "e0", cause: "success-rate", ejected: true },
    ]);
  });

  test.each([
    ["four endpoints", [50, 100, 100, 100], 100],
    ["99 calls each", [50, 100, 100, 100, 100], 99],
  ])("of %s nobody is compared", (_, rates, requests) => {
    expect(sweep(withRates(rates, requests), byDefault, 1, 0, random)).toEqual([]);
  });

  test("a share of failures of 85 % ejects by itself, where all are bad and none is an outlier", () => {
    const all = withRates([14, 15, 16, 17, 18], 60);
    expect(sweep(all, byDefault, 1, 0, random)).toEqual([
      { endpoint: "e0", cause: "failure-percentage", ejected: true, forMs: 30_000 },
      { endpoint: "e1", cause: "failure-percentage", ejected: false, because: "max-ejection-percent" },
    ]);
  });

  test("counts begin anew", () => {
    const all = withRates([50, 100, 100, 100, 100], 100);
    sweep(all, byDefault, 1, 0, random);
    expect(all.every(({ figures }) => figures.outlier.requests === 0 && figures.outlier.successes === 0)).toBe(true);
  });
});
