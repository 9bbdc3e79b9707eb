import { expect, test } from "vitest";
import {
  HandshakeLimit,
  MAX_CONCURRENT_CONNECTS,
  REPLACEMENT_BURST,
  REPLACEMENTS_PER_SECOND,
} from "./handshake-limit.ts";

const connect = (limit: HandshakeLimit, nowMs: number): boolean => {
  const begun = limit.tryConnect(nowMs);
  if (begun) limit.connected();
  return begun;
};

test("connects at once are bounded, and the end of one lets the next begin", () => {
  const limit = new HandshakeLimit();
  for (let each = 0; each < MAX_CONCURRENT_CONNECTS; each++) expect(limit.tryConnect(0)).toBe(true);
  expect(limit.tryConnect(0)).toBe(false);
  expect(limit.waitMs(0)).toBeUndefined();
  limit.connected();
  expect(limit.tryConnect(0)).toBe(true);
});

test("connections that no abort made necessary are not bounded in their rate", () => {
  const limit = new HandshakeLimit();
  for (let each = 0; each < 10 * REPLACEMENT_BURST; each++) expect(connect(limit, 0)).toBe(true);
});

test("sockets lost to aborts are replaced at a bounded rate after a burst", () => {
  const limit = new HandshakeLimit();
  let replaced = 0;
  for (let atMs = 0; atMs < 10_000; atMs++) {
    limit.charge();
    if (connect(limit, atMs)) replaced++;
  }
  expect(replaced).toBeGreaterThanOrEqual(REPLACEMENT_BURST + 9 * REPLACEMENTS_PER_SECOND);
  expect(replaced).toBeLessThanOrEqual(REPLACEMENT_BURST + 10 * REPLACEMENTS_PER_SECOND);
});

test("whoever waits is told when a connect may begin", () => {
  const limit = new HandshakeLimit();
  for (let each = 0; each <= REPLACEMENT_BURST; each++) {
    limit.charge();
    if (each < REPLACEMENT_BURST) connect(limit, 0);
  }
  expect([connect(limit, 0), limit.affordsLoss(0)]).toEqual([false, false]);
  const waitMs = limit.waitMs(0);
  expect(waitMs).toBe(1_000 / REPLACEMENTS_PER_SECOND);
  expect(connect(limit, Number(waitMs))).toBe(true);
});

test("what may be lost is known before it is lost", () => {
  const limit = new HandshakeLimit();
  for (let each = 0; each < REPLACEMENT_BURST - 1; each++) limit.charge();
  expect(limit.affordsLoss(0)).toBe(true);
  limit.charge();
  expect(limit.affordsLoss(0)).toBe(false);
});
