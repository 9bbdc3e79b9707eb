import { describe, expect, test } from "vitest";
import {
  FIRST_PROBATION_MS,
  isAvoided,
  LONGEST_PROBATION_MS,
  newReachability,
  noteReached,
  noteSent,
  noteUnreachable,
} from "./probation.ts";

const noJitter = (): number => 0;

describe("an endpoint that could not be reached", () => {
  test("is avoided for a second, then probed by one call", () => {
    const reach = newReachability();
    noteSent(reach, 0);
    noteUnreachable(reach, 0, noJitter);
    expect([isAvoided(reach, 0), isAvoided(reach, FIRST_PROBATION_MS - 1)]).toEqual([true, true]);
    expect(isAvoided(reach, FIRST_PROBATION_MS)).toBe(false);
    noteSent(reach, FIRST_PROBATION_MS);
    expect(isAvoided(reach, FIRST_PROBATION_MS)).toBe(true);
  });

  test("is avoided twice as long after each probe that fails, and a minute at most", () => {
    const reach = newReachability();
    const times: number[] = [];
    for (let probe = 0, nowMs = 0; probe < 9; probe++) {
      noteSent(reach, nowMs);
      noteUnreachable(reach, nowMs, noJitter);
      times.push(reach.avoidedUntilMs - nowMs);
      nowMs = reach.avoidedUntilMs;
    }
    expect(times.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(times.at(-1)).toBe(LONGEST_PROBATION_MS);
  });

  test("counts calls that were under way together once", () => {
    const reach = newReachability();
    for (let call = 0; call < 50; call++) noteSent(reach, 0);
    for (let call = 0; call < 50; call++) noteUnreachable(reach, 10, noJitter);
    expect(reach).toMatchObject({ failures: 1, avoidedUntilMs: 10 + FIRST_PROBATION_MS });
  });

  test("is forgiven by any answer", () => {
    const reach = newReachability();
    noteUnreachable(reach, 0, noJitter);
    noteReached(reach);
    expect(isAvoided(reach, 1)).toBe(false);
  });

  test("comes back at another moment for each client", () => {
    const reach = newReachability();
    noteUnreachable(reach, 0, () => 0.5);
    expect(reach.avoidedUntilMs).toBe(FIRST_PROBATION_MS * 1.25);
  });

  test("that does not answer its probe is probed again", () => {
    const reach = newReachability();
    noteUnreachable(reach, 0, noJitter);
    noteSent(reach, FIRST_PROBATION_MS);
    expect(isAvoided(reach, 2 * FIRST_PROBATION_MS)).toBe(false);
  });
});
