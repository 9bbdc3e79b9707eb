import { FakeClock, seededRandom } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { ConnectFailure } from "./connect-failure.ts";
import { keepConnected, reconnectDelayMs } from "./reconnect.ts";

const lost = new ConnectFailure("lost", "gone");

describe("the delay before the next connection", () => {
  test.each([
    [1, 100],
    [2, 200],
    [5, 1_600],
    [8, 10_000],
    [2_000, 10_000],
  ])("after %i failures in a row lies between 0 and %i ms", (failures, mostMs) => {
    expect(reconnectDelayMs(lost, failures, () => 0)).toBe(0);
    expect(reconnectDelayMs(lost, failures, () => 0.5)).toBe(mostMs / 2);
  });

  test("begins at the moment that the server named", () => {
    const goodbye = new ConnectFailure("lost", "bye", { retryAfterMs: 3_000 });
    expect(reconnectDelayMs(goodbye, 1, () => 0.5)).toBe(3_050);
  });

  test.each(["token-used", "protocol-version", "identity-mismatch"] as const)("is long after %s", (code) => {
    const refusal = new ConnectFailure("refused", "no", { code });
    expect([0, 0.5].map((chance) => reconnectDelayMs(refusal, 1, () => chance))).toEqual([15_000, 30_000]);
  });

  test("is not long after a refusal that heals by waiting", () => {
    expect(reconnectDelayMs(new ConnectFailure("refused", "no", { code: "behind" }), 1, () => 0.5)).toBe(50);
  });
});

describe("keepConnected", () => {
  test("goes on after any error, doubles its steps, and begins anew after a connection that worked", async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const delays: number[] = [];
    let attempts = 0;
    const kept = keepConnected({
      clock,
      random: () => 0.5,
      signal: stop.signal,
      connect: (worked) => {
        attempts += 1;
        if (attempts === 4) worked();
        return Promise.reject(attempts === 2 ? new TypeError("a bug") : lost);
      },
      onFailure: (failure, delayMs) => {
        expect(failure).toBeInstanceOf(ConnectFailure);
        delays.push(delayMs);
      },
    });
    await clock.advanceAsync(500);
    expect(delays.slice(0, 5)).toEqual([50, 100, 200, 50, 100]);
    stop.abort();
    await kept;
    expect(clock.pendingTimers).toBe(0);
  });

  test("spreads by chance", () => {
    const random = seededRandom(7);
    expect(new Set(Array.from({ length: 20 }, () => reconnectDelayMs(lost, 9, random))).size).toBe(20);
  });
});
