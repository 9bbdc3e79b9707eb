import { balanced, balancedSet } from "@tulle/testing/balancing";
import { describe, expect, test } from "vitest";
import { newFigures } from "../endpoints/endpoint-figures.ts";
import type { Balanced } from "./picker.ts";
import { Weights } from "./weights.ts";

const joinedAt = (id: string, nowMs: number): Balanced => ({ ...balanced(id), figures: newFigures(nowMs) });

describe("without a slow start", () => {
  const weights = new Weights(undefined);

  test("an endpoint weighs what it was registered with, 1 where nothing was said", () => {
    expect(weights.of(balanced("a", { weight: 7 }), 0)).toBe(7);
    expect(weights.of(balanced("a"), 0)).toBe(1);
  });

  test("tells equal weights from different ones, for each list anew", () => {
    expect(weights.areEqual(balancedSet(3), 0)).toBe(true);
    expect(weights.areEqual([balanced("a"), balanced("b", { weight: 2 })], 0)).toBe(false);
    expect(weights.areEqual([], 0)).toBe(true);
  });
});

describe("with a slow start", () => {
  const weights = new Weights({ windowMs: 10_000, aggression: 1, minimumShare: 0.1 });

  test("a newcomer weighs a tenth at first and everything after the window", () => {
    const newcomer = joinedAt("new", 50_000);
    expect(weights.of(newcomer, 50_000)).toBeCloseTo(0.1);
    expect(weights.of(newcomer, 55_000)).toBeCloseTo(0.5);
    expect(weights.of(newcomer, 60_000)).toBe(1);
  });

  test("weights are different until the last newcomer has its share", () => {
    const endpoints = [joinedAt("old", 0), joinedAt("new", 50_000)];
    expect(weights.areEqual(endpoints, 55_000)).toBe(false);
    expect(weights.areEqual(endpoints, 60_000)).toBe(true);
  });
});
