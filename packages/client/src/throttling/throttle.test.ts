import fc from "fast-check";
import { expect, test } from "vitest";
import { rejectionShare, throttle } from "./throttle.ts";

const limits = fc.record({
  multiplier: fc.double({ min: 1.1, max: 100, noNaN: true }),
  maxRejectionPercent: fc.nat(100),
});
const counts = fc
  .record({ requests: fc.nat(1_000_000), share: fc.double({ min: 0, max: 1, noNaN: true }) })
  .map(({ requests, share }) => ({ requests, accepts: Math.floor(requests * share) }));

test.each([
  [0, 0, 0],
  [100, 100, 0],
  [100, 50, 0],
  [99, 25, 0.49],
  [99, 0, 0.8],
])("of %i requests, %i accepted, the share %f is refused with K = 2", (requests, accepts, share) => {
  expect(rejectionShare({ requests, accepts }, { multiplier: 2, maxRejectionPercent: 80 })).toBeCloseTo(share, 10);
});

test("the share is 0 as long as K times the accepts cover the requests, and never above its bound", () => {
  fc.assert(
    fc.property(counts, limits, (seen, limit) => {
      const share = rejectionShare(seen, limit);
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(limit.maxRejectionPercent / 100);
      if (seen.requests <= limit.multiplier * seen.accepts) expect(share).toBe(0);
      else if (limit.maxRejectionPercent > 0) expect(share).toBeGreaterThan(0);
    }),
  );
});

test("one more accepted call never raises the share, one more rejected call never lowers it", () => {
  fc.assert(
    fc.property(counts, limits, (seen, limit) => {
      const { requests, accepts } = seen;
      const share = rejectionShare(seen, limit);
      expect(rejectionShare({ requests: requests + 1, accepts: accepts + 1 }, limit)).toBeLessThanOrEqual(share);
      expect(rejectionShare({ requests: requests + 1, accepts }, limit)).toBeGreaterThanOrEqual(share);
    }),
  );
});

test("a call is refused when its random number is below the share", () => {
  const seen = { requests: 99, accepts: 25 };
  const limit = { multiplier: 2, maxRejectionPercent: 80 };
  expect(throttle(seen, limit, 0.48)).toBe(true);
  expect(throttle(seen, limit, 0.5)).toBe(false);
  fc.assert(fc.property(counts, limits, (any, each) => !throttle(any, each, 1 - Number.EPSILON / 2)));
});
