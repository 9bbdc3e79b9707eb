import { describe, expect, test } from "vitest";
import {
  countOf,
  type ExponentialHistogram,
  emptyHistogram,
  histogramSince,
  mergeHistograms,
  quantile,
} from "./exponential-histogram.ts";

/** Sorts values into buckets as the specification says. */
const histogramOf = (values: readonly number[], scale: number): ExponentialHistogram => {
  const indices = values.filter((value) => value > 0).map((value) => Math.ceil(Math.log2(value) * 2 ** scale) - 1);
  const offset = Math.min(...indices);
  const counts = new Array<number>(Math.max(...indices) - offset + 1).fill(0);
  for (const index of indices) counts[index - offset] = (counts[index - offset] ?? 0) + 1;
  return { scale, zeroCount: values.length - indices.length, offset, counts };
};
const milliseconds = Array.from({ length: 1_000 }, (_, index) => (index + 1) / 1_000);

describe("quantile", () => {
  test.each([0.01, 0.5, 0.9, 0.99])("%d is exact to a bucket's width", (q) => {
    const found = quantile(histogramOf(milliseconds, 5), q);
    expect(found).toBeGreaterThan(q * 0.975);
    expect(found).toBeLessThan(q * 1.025);
  });

  test("of 1 is the end of the last bucket that holds something", () => {
    expect(quantile({ scale: 0, zeroCount: 0, offset: 0, counts: [1, 1, 0] }, 1)).toBe(4);
  });

  test("counts zeros as zero", () => {
    expect(quantile({ scale: 0, zeroCount: 9, offset: 0, counts: [1] }, 0.5)).toBe(0);
  });

  test("of nothing is unknown", () => {
    expect(quantile(emptyHistogram, 0.5)).toBeUndefined();
  });
});

describe("merging", () => {
  test("keeps every measurement, at the coarser scale", () => {
    const merged = mergeHistograms(histogramOf(milliseconds, 6), histogramOf([2, 4, 8, 0], 3));
    expect(merged.scale).toBe(3);
    expect(merged).toEqual(histogramOf([...milliseconds, 2, 4, 8, 0], 3));
  });

  test("joins buckets below one as well", () => {
    const fine = histogramOf([0.001, 0.0011, 0.01, 0.1], 8);
    const coarse = histogramOf([0.5], 1);
    expect(mergeHistograms(fine, coarse)).toEqual(histogramOf([0.001, 0.0011, 0.01, 0.1, 0.5], 1));
  });

  test("never needs more than 160 buckets, however fine and far apart", () => {
    const lone = (value: number): ExponentialHistogram => histogramOf([value], 20);
    const merged = mergeHistograms(lone(0.000_1), lone(9));
    expect(merged.counts.length).toBeLessThanOrEqual(160);
    expect(countOf(merged)).toBe(2);
    expect(quantile(merged, 0.25)).toBeCloseTo(0.000_1, 4);
    expect(quantile(merged, 1)).toBeGreaterThan(8.5);
    expect(quantile(merged, 1)).toBeLessThan(9.9);
  });

  test("with nothing changes nothing", () => {
    const histogram = histogramOf(milliseconds, 4);
    expect(mergeHistograms(histogram, emptyHistogram)).toEqual(histogram);
    expect(mergeHistograms(emptyHistogram, histogram)).toEqual(histogram);
  });
});

test("what was measured since is the difference", () => {
  const earlier = histogramOf([0.001, 0.002], 6);
  const later = mergeHistograms(earlier, histogramOf([0.5, 0.5, 0.5], 3));
  const since = histogramSince(later, earlier);
  expect(countOf(since)).toBe(3);
  expect(quantile(since, 0.5)).toBeCloseTo(0.5, 1);
});
