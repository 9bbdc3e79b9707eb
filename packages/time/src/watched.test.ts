import { describe, expect, test, vi } from "vitest";
import { constant, Watchable } from "./watched.ts";

describe("a watchable value", () => {
  test("tells its listeners of each change, in the order in which they subscribed", () => {
    const value = new Watchable(1);
    const heard: string[] = [];
    value.subscribe((next) => heard.push(`first ${next}`));
    value.subscribe((next) => heard.push(`second ${next}`));
    value.set(2);
    expect(value.current).toBe(2);
    expect(heard).toEqual(["first 2", "second 2"]);
  });

  test("says nothing of the present value and of the same value again", () => {
    const value = new Watchable("a");
    const listener = vi.fn();
    value.subscribe(listener);
    value.set("a");
    expect(listener).not.toHaveBeenCalled();
  });

  test("forgets a listener that stopped, and all when it closes", () => {
    const value = new Watchable(1);
    const stopped = vi.fn();
    const other = vi.fn();
    value.subscribe(stopped)();
    value.subscribe(other);
    value.set(2);
    value.close();
    value.set(3);
    expect(stopped).not.toHaveBeenCalled();
    expect(other).toHaveBeenCalledExactlyOnceWith(2);
  });

  test("still tells a listener of the change during which another one stopped it", () => {
    const value = new Watchable(1);
    const second = vi.fn();
    let stop = (): void => undefined;
    value.subscribe(() => stop());
    stop = value.subscribe(second);
    value.set(2);
    value.set(3);
    expect(second).toHaveBeenCalledExactlyOnceWith(2);
  });
});

test("a constant never changes", () => {
  const value = constant(7);
  const listener = vi.fn();
  value.subscribe(listener)();
  expect(value.current).toBe(7);
  expect(listener).not.toHaveBeenCalled();
});
