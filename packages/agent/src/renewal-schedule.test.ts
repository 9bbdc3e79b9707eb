import { seededRandom } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { catchUpTime, renewalTime, retryDelay } from "./renewal-schedule.ts";

const HOUR = 3_600_000;
const life = { receivedMs: 0, notAfterMs: 24 * HOUR };

describe("renewals", () => {
  test("come before half of the life, whatever the dice say", () => {
    for (const dice of [0, 0.999_999]) {
      for (const inTurn of [true, false]) {
        const atMs = renewalTime(life, inTurn, () => dice);
        expect(atMs).toBeLessThan(12 * HOUR);
        expect(atMs).toBeGreaterThan(inTurn ? 10.5 * HOUR : 0.9 * HOUR);
      }
    }
  });

  test("that an outage held up are done before the certificate ends, however little is left", () => {
    const random = seededRandom(1);
    for (let turn = 0; turn < 1_000; turn++) {
      const dueMs = 12 * HOUR;
      const nowMs = dueMs + random() * 12 * HOUR;
      const lostMs = random() < 0.5 ? undefined : dueMs - random() * 12 * HOUR;
      const atMs = catchUpTime({ lostMs, nowMs, dueMs, notAfterMs: life.notAfterMs }, random);
      expect(atMs).toBeGreaterThanOrEqual(nowMs);
      expect(atMs).toBeLessThan(life.notAfterMs);
    }
  });

  test("are repeated faster and faster towards the end, and slower and slower while there is time", () => {
    const certificate = { ...life, renewAtMs: 12 * HOUR };
    const delay = (nowMs: number, failures = 20): number => retryDelay(failures, certificate, nowMs, () => 1);
    expect(delay(12 * HOUR, 1)).toBe(1_000);
    expect(delay(12 * HOUR)).toBe(60_000);
    expect(delay(13 * HOUR)).toBe(360_000);
    expect(delay(18 * HOUR)).toBe(900_000);
    expect(delay(24 * HOUR - 40_000)).toBe(10_000);
    expect(delay(24 * HOUR - 1)).toBe(1_000);
    expect(delay(25 * HOUR)).toBe(60_000);
    expect(retryDelay(20, undefined, 0, () => 1)).toBe(60_000);
  });
});
