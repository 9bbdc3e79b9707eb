import { describe, expect, it } from "vitest";
import { readGoDuration } from "./go-duration.ts";

describe("a duration as Go writes it", () => {
  it.each([
    ["7s", "7s"],
    ["1h", "1h"],
    ["0.5s", "0.5s"],
    ["1m30s", "1m30s"],
    ["0s", "0s"],
    ["0", "0s"],
    [".5s", "500ms"],
    ["30s1m", "90000ms"],
    ["1s1s", "2000ms"],
    ["1500us", "2ms"],
    ["10ns", "1ms"],
    ["0ns", "0ms"],
  ])("%s is %s", (text, duration) => {
    expect(readGoDuration(text)).toBe(duration);
  });

  it.each(["", "7", "s", "-1s", "1d", "1 s", "999999h", "1s2"])("%j is none", (text) => {
    expect(readGoDuration(text)).toBeUndefined();
  });
});
