import { describe, expect, test } from "vitest";
import { announcedIdleMs, usableIdleMs } from "./idle-time.ts";

describe("the server's word", () => {
  test.each([
    ["timeout=5", 5_000],
    ["max=100, timeout=72", 72_000],
    ["Timeout=2,max=7", 2_000],
    ["max=100", undefined],
    ["xtimeout=5", undefined],
    ["timeout=", undefined],
    [["timeout=5", "max=3"], 5_000],
    [undefined, undefined],
  ])("%j means %j milliseconds", (header, ms) => {
    expect(announcedIdleMs(header)).toBe(ms);
  });
});

describe("an idle connection may be used", () => {
  test("for as long as the policy says where the server says nothing", () => {
    expect(usableIdleMs(4_000, undefined, 0)).toBe(4_000);
  });

  test("a second less than the server says, and never longer than the policy says", () => {
    expect(usableIdleMs(4_000, 5_000, 0)).toBe(4_000);
    expect(usableIdleMs(10_000, 5_000, 0)).toBe(4_000);
    expect(usableIdleMs(4_000, 600_000, 0)).toBe(4_000);
    expect(usableIdleMs(4_000, 3_000, 0)).toBe(2_000);
  });

  test("for half of what the server says when that is short", () => {
    expect(usableIdleMs(4_000, 1_000, 0)).toBe(500);
  });

  test("never where the server keeps none", () => {
    expect(usableIdleMs(4_000, 0, 0)).toBe(0);
  });

  test("for less while the event loop is late, down to half", () => {
    expect(usableIdleMs(4_000, 5_000, 1_500)).toBe(2_500);
    expect(usableIdleMs(4_000, undefined, 60_000)).toBe(2_000);
  });
});
