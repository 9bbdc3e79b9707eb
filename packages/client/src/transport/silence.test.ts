import { describe, expect, test } from "vitest";
import { LONGEST_SILENCE_MS, SILENCE_MS, SilenceWatch } from "./silence.ts";

describe("an endpoint that owes answers", () => {
  test("is asked when it has said nothing for a while, once at a time", () => {
    const watch = new SilenceWatch(0);
    expect(watch.isDue(true, SILENCE_MS - 1)).toBe(false);
    expect(watch.isDue(true, SILENCE_MS)).toBe(true);
    expect(watch.isDue(true, 10 * SILENCE_MS)).toBe(false);
  });

  test("is not asked while it says anything, on whatever connection", () => {
    const watch = new SilenceWatch(0);
    for (let atMs = 0; atMs < 10 * SILENCE_MS; atMs += SILENCE_MS / 2) {
      expect(watch.isDue(true, atMs)).toBe(false);
      watch.heard++;
    }
  });

  test("that answers is asked again after ever longer times, until it says something", () => {
    const watch = new SilenceWatch(0);
    const askedAt: number[] = [];
    for (let atMs = 0; askedAt.length < 8; atMs += 500) {
      if (!watch.isDue(true, atMs)) continue;
      askedAt.push(atMs);
      watch.answered(atMs);
    }
    const waits = askedAt.map((atMs, place) => atMs - (askedAt[place - 1] ?? 0));
    expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 32_000, 32_000, LONGEST_SILENCE_MS]);
    watch.heard++;
    const nowMs = askedAt.at(-1)! + 500;
    watch.isDue(true, nowMs);
    expect(watch.isDue(true, nowMs + SILENCE_MS)).toBe(true);
  });

  test("that does not answer is silent, unless it said something meanwhile", () => {
    const watch = new SilenceWatch(0);
    watch.isDue(true, SILENCE_MS);
    expect(watch.unanswered(SILENCE_MS + 1_000)).toBe(true);
    watch.isDue(true, 3 * SILENCE_MS);
    watch.heard++;
    expect(watch.unanswered(4 * SILENCE_MS)).toBe(false);
  });
});

test("an endpoint that owes nothing may be as silent as it likes", () => {
  const watch = new SilenceWatch(0);
  expect(watch.isDue(false, 100 * SILENCE_MS)).toBe(false);
  expect(watch.isDue(true, 101 * SILENCE_MS - 1)).toBe(false);
});
