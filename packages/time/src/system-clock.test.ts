import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MAX_TIMER_MS } from "./max-timer.ts";
import { systemClock } from "./system-clock.ts";

describe("the system clock", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("fires once after its delay", () => {
    const fire = vi.fn();
    systemClock.after(1_000, fire);
    vi.advanceTimersByTime(999);
    expect(fire).not.toHaveBeenCalled();
    vi.advanceTimersByTime(5_000);
    expect(fire).toHaveBeenCalledOnce();
  });

  test("does not fire when it was cancelled", () => {
    const fire = vi.fn();
    systemClock.after(10, fire).cancel();
    vi.advanceTimersByTime(100);
    expect(fire).not.toHaveBeenCalled();
  });

  test("waits the longest time that there is instead of not at all for a longer one", () => {
    const fire = vi.fn();
    systemClock.after(Number.POSITIVE_INFINITY, fire);
    vi.advanceTimersByTime(60_000);
    expect(fire).not.toHaveBeenCalled();
    vi.advanceTimersByTime(MAX_TIMER_MS);
    expect(fire).toHaveBeenCalledOnce();
  });

  test("tells wall time and monotonic time apart", () => {
    vi.setSystemTime(1_000_000);
    expect(systemClock.wallNow()).toBe(1_000_000);
    expect(systemClock.now()).toBeLessThan(1_000_000);
  });
});
